import { expect, test } from "bun:test"
import { fillPhilox } from "../../../core/tensor/philox.ts"

const block = (counter: readonly number[], key: readonly number[]) => {
  const out = new Uint32Array(4)
  fillPhilox(out, counter[0]!, counter[1]!, counter[2]!, counter[3]!, key[0]!, key[1]!)
  return [...out]
}

// The known-answer vectors of Random123 1.14 (kat_vectors, philox4x32 10).
test.each<{ counter: number[]; key: number[]; words: number[] }>([
  {
    counter: [0, 0, 0, 0],
    key: [0, 0],
    words: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  },
  {
    counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    words: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    key: [0xa4093822, 0x299f31d0],
    words: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
])("gives the known answer for counter $counter", ({ counter, key, words }) => {
  expect(block(counter, key)).toEqual(words)
})

/** The definition in 64-bit integers. */
const philoxInBigInt = (counter: readonly number[], key: readonly number[]): number[] => {
  const mask = 0xffffffffn
  let [x0 = 0n, x1 = 0n, x2 = 0n, x3 = 0n] = counter.map((word) => BigInt(word))
  let [k0 = 0n, k1 = 0n] = key.map((word) => BigInt(word))
  for (let round = 0; round < 10; round++) {
    const product0 = x0 * 0xd2511f53n
    const product1 = x2 * 0xcd9e8d57n
    ;[x0, x1, x2, x3] = [
      (product1 >> 32n) ^ x1 ^ k0,
      product1 & mask,
      (product0 >> 32n) ^ x3 ^ k1,
      product0 & mask,
    ]
    k0 = (k0 + 0x9e3779b9n) & mask
    k1 = (k1 + 0xbb67ae85n) & mask
  }
  return [x0, x1, x2, x3].map((word) => Number(word))
}

test("agrees with 64-bit arithmetic on many counters and keys", () => {
  let word = 1
  const next = () => {
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0
    return word
  }
  for (let trial = 0; trial < 200; trial++) {
    const counter = [next(), next(), next(), next()]
    const key = [next(), next()]
    expect(block(counter, key)).toEqual(philoxInBigInt(counter, key))
  }
})

test("fills block after block, past the end of the block counter, and truncates the last block", () => {
  const key = [7, 9] as const
  for (const length of [0, 1, 2, 3, 5, 8, 11]) {
    const out = new Uint32Array(length)
    fillPhilox(out, 0xffffffff, 1, 2, 3, key[0], key[1])
    const expected = [0xffffffff, 0, 1].flatMap((first) => philoxInBigInt([first, 1, 2, 3], key))
    expect([...out]).toEqual(expected.slice(0, length))
  }
})
