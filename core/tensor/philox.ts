/**
 * Philox 4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
 * as 1, 2, 3" (SC 2011). A block of four 32-bit words is a pure function of a 128-bit counter and a 64-bit key, so
 * any element of any stream can be computed without those before it, on any backend and in any order.
 */

const multiplier0Low = 0x1f53
const multiplier0High = 0xd251
const multiplier0 = 0xd2511f53 | 0
const multiplier1Low = 0x8d57
const multiplier1High = 0xcd9e
const multiplier1 = 0xcd9e8d57 | 0
const weyl0 = 0x9e3779b9 | 0
const weyl1 = 0xbb67ae85 | 0

/** Words in the block of one counter. */
export const wordsPerBlock = 4

/**
 * Fills `out` with the blocks of the counters [firstBlock + i, c1, c2, c3], i = 0, 1, …: word j of `out` is word
 * j mod 4 of block firstBlock + ⌊j / 4⌋ (modulo 2³²). The last block is truncated if `out` ends within it.
 */
export const fillPhilox = (
  out: Uint32Array,
  firstBlock: number,
  c1: number,
  c2: number,
  c3: number,
  key0: number,
  key1: number,
): void => {
  const length = out.length
  for (
    let start = 0, block = firstBlock | 0;
    start < length;
    start += wordsPerBlock, block = (block + 1) | 0
  ) {
    let x0 = block
    let x1 = c1 | 0
    let x2 = c2 | 0
    let x3 = c3 | 0
    let k0 = key0 | 0
    let k1 = key1 | 0
    for (let round = 0; round < 10; round++) {
      // The high half of a 32 x 32 bit product from 16-bit parts: every partial sum stays below 2^32.
      const low0 = x0 & 0xffff
      const high0 = x0 >>> 16
      const middle0 = (Math.imul(multiplier0High, low0) + (Math.imul(multiplier0Low, low0) >>> 16)) | 0
      const cross0 = (Math.imul(multiplier0Low, high0) + (middle0 & 0xffff)) | 0
      const product0High = (Math.imul(multiplier0High, high0) + (middle0 >>> 16) + (cross0 >>> 16)) | 0
      const low2 = x2 & 0xffff
      const high2 = x2 >>> 16
      const middle2 = (Math.imul(multiplier1High, low2) + (Math.imul(multiplier1Low, low2) >>> 16)) | 0
      const cross2 = (Math.imul(multiplier1Low, high2) + (middle2 & 0xffff)) | 0
      const product1High = (Math.imul(multiplier1High, high2) + (middle2 >>> 16) + (cross2 >>> 16)) | 0
      const product0Low = Math.imul(multiplier0, x0)
      const product1Low = Math.imul(multiplier1, x2)
      x0 = product1High ^ x1 ^ k0
      x1 = product1Low
      x2 = product0High ^ x3 ^ k1
      x3 = product0Low
      k0 = (k0 + weyl0) | 0
      k1 = (k1 + weyl1) | 0
    }
    out[start] = x0
    if (start + 3 < length) {
      out[start + 1] = x1
      out[start + 2] = x2
      out[start + 3] = x3
    } else {
      if (start + 1 < length) out[start + 1] = x1
      if (start + 2 < length) out[start + 2] = x2
    }
  }
}
