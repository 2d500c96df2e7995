/**
 * Elementary functions from +, −, ×, ÷ and square roots alone, each of which IEEE 754 rounds in one way. Those of `Math`
 * may differ in the last bit between runtimes, and with them every figure that they enter. Relative errors are at most
 * 3e-16.
 */

/** Σ cₖ xᵏ */
const polynomial = (coefficients: readonly number[], x: number): number => {
  let sum = 0
  for (let k = coefficients.length - 1; k >= 0; k--) sum = sum * x + coefficients[k]!
  return sum
}

const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1))

// --- exponentials and logarithms ---------------------------------------------------------------------------

const bits = new DataView(new ArrayBuffer(8))

/** 2ᵏ for −1022 ≤ k ≤ 1023. */
const powerOfTwo = (k: number): number => {
  bits.setUint32(0, (k + 1023) << 20)
  bits.setUint32(4, 0)
  return bits.getFloat64(0)
}

/** ln 2 in two parts, the first of 33 bits: its products with exponents are exact. */
const ln2High = 0.6931471803691238
const ln2Low = 1.9082149292705877e-10

/** On |r| ≤ ½ ln 2 the terms after these are below 5e-18. */
const exponentialSeries = Array.from({ length: 14 }, (_, k) => 1 / factorial(k))

/** eˣ */
export const exp = (x: number): number => {
  if (!(x < 710)) return x > 0 ? Number.POSITIVE_INFINITY : Number.NaN
  if (x < -746) return 0
  const k = Math.round(x / Math.LN2)
  const e = polynomial(exponentialSeries, x - k * ln2High - k * ln2Low)
  if (k >= -1022 && k <= 1023) return e * powerOfTwo(k)
  // In two steps, since the power itself is out of range.
  const half = k >> 1
  return e * powerOfTwo(half) * powerOfTwo(k - half)
}

/** ln x: −∞ for 0, NaN below it. */
export const log = (x: number): number => {
  if (!(x > 0 && x < Number.POSITIVE_INFINITY)) {
    if (x === 0) return Number.NEGATIVE_INFINITY
    return x > 0 ? x : Number.NaN
  }
  if (x < 2 ** -1022) return log(x * 2 ** 54) - 54 * Math.LN2
  bits.setFloat64(0, x)
  const high = bits.getUint32(0)
  let exponent = (high >>> 20) - 1023
  bits.setUint32(0, (high & 0xfffff) | (1023 << 20))
  let mantissa = bits.getFloat64(0)
  if (mantissa > Math.SQRT2) {
    mantissa /= 2
    exponent += 1
  }
  // ln m = 2 artanh((m − 1) / (m + 1)), |argument| ≤ 0.172: eleven terms reach 1e-17.
  const t = (mantissa - 1) / (mantissa + 1)
  const t2 = t * t
  let sum = 0
  for (let k = 21; k >= 1; k -= 2) sum = sum * t2 + 1 / k
  return exponent * Math.LN2 + 2 * t * sum
}

/** ln(1 + x), exact also where 1 + x is not (W. Kahan's correction of the sum's rounding). */
export const log1p = (x: number): number => {
  const sum = 1 + x
  if (sum === 1) return x
  return sum < Number.POSITIVE_INFINITY ? (log(sum) * x) / (sum - 1) : sum
}

/** baseʸ for base > 0, with a relative error of up to 3e-16 · (1 + |y ln base|). */
export const power = (base: number, y: number): number => exp(y * log(base))

/** √Σ x², for numbers whose squares are finite. */
export const hypot = (...values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, x) => sum + x * x, 0))

// --- circular functions ------------------------------------------------------------------------------------

/** π / 2 in three parts: products of the first two with up to 2²⁰ are exact. */
const quarterTurn = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21] as const

const alternating = (first: number) =>
  Array.from({ length: 10 }, (_, k) => (k % 2 === 0 ? 1 : -1) / factorial(2 * k + first))
const sineSeries = alternating(1)
const cosineSeries = alternating(0)

/** The sine and the cosine of x after `turns` quarter turns more. */
const circular = (x: number, turns: number): number => {
  if (!(Math.abs(x) < 2 ** 20)) throw new RangeError(`expected an angle below 2^20 radians, found ${x}`)
  const k = Math.round(x / (Math.PI / 2))
  const r = x - k * quarterTurn[0] - k * quarterTurn[1] - k * quarterTurn[2]
  const quadrant = (((k + turns) % 4) + 4) % 4
  const value = quadrant % 2 === 0 ? r * polynomial(sineSeries, r * r) : polynomial(cosineSeries, r * r)
  return quadrant < 2 ? value : -value
}

/** sin x. @throws RangeError beyond 2²⁰ radians */
export const sin = (x: number): number => circular(x, 0)
/** cos x. @throws RangeError beyond 2²⁰ radians */
export const cos = (x: number): number => circular(x, 1)

/** On |z| ≤ √2 − 1 the terms after these are below 1e-17 of the first. */
const arctangentSeries = Array.from({ length: 23 }, (_, k) => (k % 2 === 0 ? 1 : -1) / (2 * k + 1))

/** arctan y for 0 ≤ y ≤ 1. */
const arctangent = (y: number): number => {
  const folded = y > Math.SQRT2 - 1
  const z = folded ? (y - 1) / (y + 1) : y
  const angle = z * polynomial(arctangentSeries, z * z)
  return folded ? Math.PI / 4 + angle : angle
}

/** The angle from 0 to π whose cosine is c; NaN outside [−1, 1]. */
export const acos = (c: number): number =>
  c < 0 ? Math.PI - acos(-c) : 2 * arctangent(Math.sqrt((1 - c) / (1 + c)))
