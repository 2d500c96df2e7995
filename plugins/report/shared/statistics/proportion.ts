import { betaQuantile, binomialProbabilities, normalQuantile } from "./distribution.ts"
import type { Ends } from "./interval.ts"
import { SUFFICIENT_POWER } from "./power.ts"

/** Wilson's score interval of a proportion, k of n (E. B. Wilson 1927). */
export const wilson = (k: number, n: number, level: number): Ends => {
  const z = normalQuantile((1 + level) / 2)
  const centre = (k + (z * z) / 2) / (n + z * z)
  const half = (z / (n + z * z)) * Math.sqrt((k * (n - k)) / n + (z * z) / 4)
  return { low: k === 0 ? 0 : centre - half, high: k === n ? 1 : centre + half }
}

/** The exact interval of a proportion, k of n: never covers less than its level (C. Clopper and E. Pearson 1934). */
export const clopperPearson = (k: number, n: number, level: number): Ends => ({
  low: k === 0 ? 0 : betaQuantile((1 - level) / 2, k, n - k + 1),
  high: k === n ? 1 : betaQuantile((1 + level) / 2, k + 1, n - k),
})

/** How many pairs had the property on both sides, on the first alone, on the second alone, on neither. */
export interface PairedCounts {
  readonly both: number
  readonly first: number
  readonly second: number
  readonly neither: number
}

/** Exact two-sided p of McNemar's test: of the pairs that differ, each side is as likely to have the property. */
export const mcNemar = (first: number, second: number): number => {
  const probabilities = binomialProbabilities(first + second, 0.5)
  const tail = probabilities.subarray(0, Math.min(first, second) + 1).reduce((sum, each) => sum + each, 0)
  return Math.min(1, 2 * tail)
}

/**
 * Interval of the difference of two paired proportions, first − second, from the Wilson interval of each and the
 * correlation of the pairs: R. Newcombe, "Improved confidence intervals for the difference between binomial
 * proportions based on paired data" (1998), method 10.
 */
export const newcombePaired = ({ both, first, second, neither }: PairedCounts, level: number): Ends => {
  const n = both + first + second + neither
  const [k1, k2] = [both + first, both + second]
  const [p1, p2] = [k1 / n, k2 / n]
  const [w1, w2] = [wilson(k1, n, level), wilson(k2, n, level)]
  const margins = k1 * (n - k1) * k2 * (n - k2)
  const product = both * neither - first * second
  // The numerator is corrected for continuity if it is positive.
  const phi =
    margins === 0 ? 0 : (product > n / 2 ? product - n / 2 : Math.min(product, 0)) / Math.sqrt(margins)
  const reach = (a: number, b: number) => Math.sqrt(Math.max(0, a * a - 2 * phi * a * b + b * b))
  return {
    low: p1 - p2 - reach(p1 - w1.low, w2.high - p2),
    high: p1 - p2 + reach(w1.high - p1, p2 - w2.low),
  }
}

/**
 * The probability that McNemar's exact test gives p ≤ α and more pairs with the property on the second side alone, for
 * n pairs of which each has it there alone with probability `second`, and on the first alone with `first`.
 */
export const mcNemarPower = (n: number, first: number, second: number, alpha: number): number => {
  const differing = binomialProbabilities(n, first + second)
  let power = 0
  for (let m = 1; m <= n; m++) {
    if (2 ** (1 - m) > alpha) continue
    const null_ = binomialProbabilities(m, 0.5)
    let most = -1
    for (let k = 0, tail = null_[0]!; 2 * tail <= alpha && k < m / 2; k++, tail += null_[k]!) most = k
    const split = binomialProbabilities(m, first / (first + second))
    power += differing[m]! * split.subarray(0, most + 1).reduce((sum, each) => sum + each, 0)
  }
  return power
}

/**
 * The number of pairs at which McNemar's exact test would find a difference like this with probability .8: exactly for
 * up to 200 pairs, beyond by the normal approximation (R. Connor 1987). Null without a difference.
 */
export const mcNemarSeeds = (first: number, second: number, alpha: number): number | null => {
  const difference = Math.abs(first - second)
  if (difference === 0) return null
  const [less, more] = [Math.min(first, second), Math.max(first, second)]
  const differing = first + second
  const z = normalQuantile(1 - alpha / 2) * Math.sqrt(differing)
  const zPower = normalQuantile(SUFFICIENT_POWER) * Math.sqrt(Math.max(0, differing - difference ** 2))
  const approximate = Math.ceil(((z + zPower) / difference) ** 2)
  // The exact power has steps of a few pairs, around the approximation.
  for (let n = Math.max(1, Math.floor(0.6 * approximate)); n <= 200; n++) {
    if (mcNemarPower(n, less, more, alpha) >= SUFFICIENT_POWER) return n
  }
  return approximate
}
