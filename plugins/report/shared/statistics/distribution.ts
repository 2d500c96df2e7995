/** Distribution functions in double precision, for the intervals. */
import { cos, exp, sin } from "../../../../core/tensor/elementary.ts"

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
 * The t with P(|T| ≤ t) = coverage, for Student's T with `df` degrees of freedom (an integer ≥ 1), 0 < coverage < 1.
 * With t = √df·tan θ the probability is a finite sum in θ (Abramowitz & Stegun 26.7.3, 26.7.4), monotone on
 * (0, π/2).
 */
export const studentTwoSided = (coverage: number, df: number): number =>
  Math.sqrt(df) * tangent(bisect(0, Math.PI / 2, (theta) => centralProbability(theta, df) < coverage))

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

/** The last number in (low, high) at which `below` holds, a condition that holds up to some point and not after it. */
const bisect = (low: number, high: number, below: (x: number) => boolean): number => {
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

// Constant term first.
const HART_NUMERATOR = [
  220.206867912376, 221.213596169931, 112.079291497871, 33.912866078383, 6.37396220353165, 0.700383064443688,
  3.52624965998911e-2,
]
const HART_DENOMINATOR = [
  440.413735824752, 793.826512519948, 637.333633378831, 296.564248779674, 86.7807322029461, 16.064177579207,
  1.75566716318264, 8.83883476483184e-2,
]
