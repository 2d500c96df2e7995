/** Distribution functions in double precision, for the intervals. */
import { cos, exp, log, log1p, sin } from "../../../../core/tensor/elementary.ts"

/**
 * Φ(z), the standard normal distribution function, to about 1e-15.
 * Hart's rational approximation as given by G. West, "Better approximations to cumulative normal functions" (2005).
 */
export const normalCdf = (z: number): number => {
  const x = Math.abs(z)
  if (x > 37) return z > 0 ? 1 : 0
  const density = exp((-x * x) / 2)
  const tail =
    x < 7.07106781186547
      ? (density * polynomial(x, HART_NUMERATOR)) / polynomial(x, HART_DENOMINATOR)
      : density / (x + 1 / (x + 2 / (x + 3 / (x + 4 / (x + 0.65))))) / 2.506628274631
  return z > 0 ? 1 - tail : tail
}

/** Φ⁻¹(p) for 0 ≤ p ≤ 1, by bisection to the last bit that {@link normalCdf} resolves; ±∞ at the ends. */
export const normalQuantile = (p: number): number => {
  if (p > 0.5) return -normalQuantile(1 - p)
  if (p === 0.5) return 0
  return p <= 0 ? -Infinity : bisect(-38, 0, (z) => normalCdf(z) < p)
}

/**
 * The t with P(|T| ≤ t) = coverage, for Student's T with `df` > 0 degrees of freedom, 0 < coverage < 1. For an integer,
 * with t = √df·tan θ the probability is a finite sum in θ (Abramowitz & Stegun 26.7.3, 26.7.4), monotone on (0, π/2).
 */
export const studentTwoSided = (coverage: number, df: number): number => {
  if (Number.isInteger(df)) {
    return (
      Math.sqrt(df) * tangent(bisect(0, Math.PI / 2, (theta) => centralProbability(theta, df) < coverage))
    )
  }
  // T² / (df + T²) has a beta distribution.
  const x = betaQuantile(coverage, 0.5, df / 2)
  return Math.sqrt((df * x) / (1 - x))
}

/** P(|T| ≥ |t|) for Student's T with `df` > 0 degrees of freedom. */
export const studentTails = (t: number, df: number): number => betaCdf(df / (df + t * t), df / 2, 0.5)

const tangent = (theta: number): number => sin(theta) / cos(theta)

/** P(|T| ≤ √df·tan θ). */
const centralProbability = (theta: number, df: number): number => {
  const [sine, cosine] = [sin(theta), cos(theta)]
  const odd = df % 2 === 1
  // Terms cosᵏ θ times (1/2)(3/4)… for even df, and cos θ·(2/3)(4/5)… for odd df.
  let term = odd ? cosine : 1
  let sum = 0
  for (let k = odd ? 1 : 0; k <= df - 2; k += 2) {
    sum += term
    term *= ((k + 1) / (k + 2)) * cosine * cosine
  }
  return odd ? (2 / Math.PI) * (theta + sine * sum) : sine * sum
}

/** ln Γ(x) for x > 0, to about 1e-15 (C. Lanczos 1964, with the coefficients of P. Godfrey, g = 607/128). */
export const logGamma = (x: number): number => {
  const series = LANCZOS.reduce(
    (sum, coefficient, i) => sum + (i === 0 ? coefficient : coefficient / (x + i)),
    0,
  )
  const t = x + 607 / 128 + 0.5
  return (x + 0.5) * log(t) - t + log((2.5066282746310007 * series) / x)
}

/**
 * I_x(a, b), the distribution function of the beta distribution, a, b > 0: the continued fraction of DLMF 8.17.22 by
 * Lentz's method, on the side where it converges.
 */
export const betaCdf = (x: number, a: number, b: number): number => {
  if (x <= 0) return 0
  if (x >= 1) return 1
  const front = exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * log(x) + b * log1p(-x))
  return x < (a + 1) / (a + b + 2)
    ? (front * betaFraction(x, a, b)) / a
    : 1 - (front * betaFraction(1 - x, b, a)) / b
}

const betaFraction = (x: number, a: number, b: number): number => {
  const tiny = 1e-300
  const away = (value: number) => (Math.abs(value) < tiny ? tiny : value)
  let c = 1
  let d = 1 / away(1 - ((a + b) * x) / (a + 1))
  let fraction = d
  for (let m = 1; m < 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / away(1 + even * d)
    c = away(1 + even / c)
    fraction *= d * c
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / away(1 + odd * d)
    c = away(1 + odd / c)
    fraction *= d * c
    if (Math.abs(d * c - 1) < 1e-16) break
  }
  return fraction
}

/** The x with I_x(a, b) = p. */
export const betaQuantile = (p: number, a: number, b: number): number =>
  bisect(0, 1, (x) => betaCdf(x, a, b) < p)

/** P(X ≤ x) for χ² with `df` > 0 degrees of freedom: the series or the continued fraction of the incomplete Γ. */
export const chiSquareCdf = (x: number, df: number): number => {
  if (x <= 0) return 0
  const a = df / 2
  const half = x / 2
  const front = exp(a * log(half) - half - logGamma(a))
  if (half < a + 1) {
    let term = 1 / a
    let sum = term
    for (let n = 1; Math.abs(term) > 1e-17 * sum; n++) {
      term *= half / (a + n)
      sum += term
    }
    return front * sum
  }
  let b = half + 1 - a
  let c = 1e300
  let d = 1 / b
  let fraction = d
  for (let n = 1; n < 10_000; n++) {
    const numerator = -n * (n - a)
    b += 2
    d = 1 / (numerator * d + b)
    c = b + numerator / c
    fraction *= d * c
    if (Math.abs(d * c - 1) < 1e-16) break
  }
  return 1 - front * fraction
}

/** The x with P(X ≤ x) = p for χ² with `df` degrees of freedom, 0 < p < 1. */
export const chiSquareQuantile = (p: number, df: number): number => {
  let high = df + 10
  while (chiSquareCdf(high, df) < p) high *= 2
  return bisect(0, high, (x) => chiSquareCdf(x, df) < p)
}

/** P(X = k) for k = 0 … n, X binomial with probability `p`. */
export const binomialProbabilities = (n: number, p: number): Float64Array =>
  Float64Array.from({ length: n + 1 }, (_, k) => {
    if (p <= 0) return k === 0 ? 1 : 0
    if (p >= 1) return k === n ? 1 : 0
    return exp(logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p))
  })

/** The last number in (low, high) at which `below` holds, a condition that holds up to some point and not after it. */
export const bisect = (low: number, high: number, below: (x: number) => boolean): number => {
  let from = low
  let to = high
  for (;;) {
    const middle = (from + to) / 2
    if (middle <= from || middle >= to) return from
    if (below(middle)) from = middle
    else to = middle
  }
}

/** Σ cᵢ xⁱ */
const polynomial = (x: number, coefficients: readonly number[]): number =>
  coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0)

const LANCZOS = [
  0.9999999999999971, 57.15623566586292, -59.59796035547549, 14.136097974741746, -0.4919138160976202,
  3.399464998481189e-5, 4.652362892704858e-5, -9.837447530487956e-5, 0.0001580887032249125,
  -0.00021026444172410488, 0.00021743961811521265, -0.0001643181065367639, 8.441822398385275e-5,
  -2.6190838401581408e-5, 3.6899182659531625e-6,
]
// Constant term first.
const HART_NUMERATOR = [
  220.206867912376, 221.213596169931, 112.079291497871, 33.912866078383, 6.37396220353165, 0.700383064443688,
  3.52624965998911e-2,
]
const HART_DENOMINATOR = [
  440.413735824752, 793.826512519948, 637.333633378831, 296.564248779674, 86.7807322029461, 16.064177579207,
  1.75566716318264, 8.83883476483184e-2,
]
