import { log } from "./elementary.ts"
import { fillPhilox, wordsPerBlock } from "./philox.ts"

/**
 * Random numbers without state: every number is a pure function of a stream (a seed and a name), a site (what of the
 * model is random: a layer's dropout, a head's weights), an iteration and the element's index. So a run resumed at step
 * t continues bit for bit, and all backends and runtimes get the same numbers.
 *
 * Philox counter: [block, site, iteration low 32 bits, iteration high 21 bits]; element i is word i mod 4 of block ⌊i / 4⌋.
 * Philox key: [seed, FNV-1a hash of the name].
 */
export interface Stream {
  readonly seed: number
  readonly nameHash: number
}

/** Where in a stream numbers come from. Two draws with the same stream, site and iteration give the same numbers. */
export interface Draw {
  readonly stream: Stream
  /** Integer in [0, 2³²). */
  readonly site: number
  /** Integer in [0, 2⁵³): the update, epoch or item that they are drawn for. */
  readonly iteration: number
}

/** Dropout at one site of the model: the probability that an element is dropped, and where the masks are drawn from. */
export interface Dropout extends Draw {
  /** In [0, 1). */
  readonly rate: number
}

const word = 2 ** 32

const hashName = (name: string): number => {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

/**
 * @param seed integer in [0, 2³²)
 * @param name streams with different names are independent; conventionally `head`, `order`, `dropout`, `probe` and so on
 * @throws RangeError if the seed is out of range
 */
export const stream = (seed: number, name: string): Stream => {
  if (!Number.isInteger(seed) || seed < 0 || seed >= word) {
    throw new RangeError(`seed: expected an integer from 0 to 4294967295, found ${seed}`)
  }
  return { seed, nameHash: hashName(name) }
}

/** Fills `out` with the words of a draw from element `first` on, which must be the first of a block. */
const fillWords = (out: Uint32Array, { stream, site, iteration }: Draw, first = 0): void => {
  if (!Number.isSafeInteger(iteration) || iteration < 0) {
    throw new RangeError(`iteration: expected an integer from 0 to 2^53 - 1, found ${iteration}`)
  }
  if (!Number.isInteger(site) || site < 0 || site >= word) {
    throw new RangeError(`site: expected an integer from 0 to 4294967295, found ${site}`)
  }
  fillPhilox(
    out,
    first / wordsPerBlock,
    site,
    iteration >>> 0,
    Math.floor(iteration / word),
    stream.seed,
    stream.nameHash,
  )
}

/** `count` numbers in [0, 1), each a multiple of 2⁻²⁴, so that float32 holds them exactly. */
export const uniform = (draw: Draw, count: number): Float32Array => {
  const words = new Uint32Array(count)
  fillWords(words, draw)
  return Float32Array.from(words, (bits) => (bits >>> 8) * 2 ** -24)
}

/** `count` integers in [0, bound), by multiplying and shifting: they deviate from uniform by less than bound / 2³². */
export const integers = (draw: Draw, count: number, bound: number): Int32Array => {
  if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 31) {
    throw new RangeError(`bound: expected an integer from 1 to 2147483648, found ${bound}`)
  }
  const words = new Uint32Array(count)
  fillWords(words, draw)
  return Int32Array.from(words, (bits) => Math.floor((bits / word) * bound))
}

/** A permutation of 0 … n − 1 for an epoch (site 0, iteration = epoch), by the Fisher–Yates shuffle. */
export const permutation = (stream: Stream, n: number, epoch: number): Int32Array => {
  const order = Int32Array.from({ length: n }, (_, index) => index)
  const words = new Uint32Array(n)
  fillWords(words, { stream, site: 0, iteration: epoch })
  for (let last = n - 1; last > 0; last--) {
    const other = Math.floor((words[last]! / word) * (last + 1))
    const kept = order[last]!
    order[last] = order[other]!
    order[other] = kept
  }
  return order
}

const blockLength = 4096

/**
 * Fills `out` with elements first, first + 1 … of an inverted-dropout mask: each is 0 with probability `rate`, else
 * 1 / (1 − rate). The words are drawn in pieces that stay in the processor's cache.
 *
 * @throws RangeError unless 0 ≤ rate < 1
 */
export const fillDropoutMask = (out: Float32Array, dropout: Dropout, first = 0): void => {
  const { rate } = dropout
  if (!(rate >= 0 && rate < 1))
    throw new RangeError(`dropout rate: expected a number in [0, 1), found ${rate}`)
  const threshold = Math.round(rate * word)
  const scale = 1 / (1 - rate)
  // Words are drawn in whole blocks, so some before `first` may have to be drawn too.
  const skipped = first % wordsPerBlock
  const end = skipped + out.length
  const words = new Uint32Array(Math.min(blockLength, end))
  for (let start = 0; start < end; start += blockLength) {
    const length = Math.min(blockLength, end - start)
    fillWords(length === words.length ? words : words.subarray(0, length), dropout, first - skipped + start)
    for (let index = start === 0 ? skipped : 0; index < length; index++) {
      out[start + index - skipped] = words[index]! < threshold ? 0 : scale
    }
  }
}

// --- normal numbers ----------------------------------------------------------------------------------------

const polynomial = (coefficients: readonly number[], x: number): number => {
  let sum = 0
  for (let index = coefficients.length - 1; index >= 0; index--) sum = sum * x + coefficients[index]!
  return sum
}

// Wichura's PPND16 (algorithm AS 241, Applied Statistics 37, 1988): relative error about 1e-16.
const a = [
  3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946, 45921.95393154987,
  67265.7709270087, 33430.57558358813, 2509.0809287301227,
]
const b = [
  1, 42.31333070160091, 687.1870074920579, 5394.196021424751, 21213.794301586597, 39307.89580009271,
  28729.085735721943, 5226.495278852854,
]
const c = [
  1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684,
  0.2417807251774506, 0.022723844989269184, 0.0007745450142783414,
]
const d = [
  1, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008, 0.015198666563616457,
  0.0005475938084995345, 1.0507500716444169e-9,
]
const e = [
  6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487, 0.026532189526576124,
  0.0012426609473880784, 0.000027115555687434876, 2.0103343992922881e-7,
]
const f = [
  1, 0.599832206555888, 0.1369298809227358, 0.014875361290850615, 0.0007868691311456133,
  0.000018463183175100548, 1.421511758316446e-7, 2.0442631033899397e-15,
]

/** The standard normal quantile of p in (0, 1). */
const normalQuantile = (p: number): number => {
  const q = p - 0.5
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q
    return (q * polynomial(a, r)) / polynomial(b, r)
  }
  const r = Math.sqrt(-log(q < 0 ? p : 1 - p))
  const tail =
    r <= 5 ? polynomial(c, r - 1.6) / polynomial(d, r - 1.6) : polynomial(e, r - 5) / polynomial(f, r - 5)
  return q < 0 ? -tail : tail
}

/** `count` numbers of N(0, standardDeviation²): quantiles at (word + ½) / 2³², so within 6.3 standard deviations. */
export const normal = (draw: Draw, count: number, standardDeviation = 1): Float32Array => {
  const words = new Uint32Array(count)
  fillWords(words, draw)
  return Float32Array.from(words, (bits) => normalQuantile((bits + 0.5) / word) * standardDeviation)
}
