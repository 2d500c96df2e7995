import { exp, hypot, log } from "../../../../core/tensor/elementary.ts"
import { integers, stream } from "../../../../core/tensor/stream.ts"
import { chiSquareQuantile, normalQuantile, studentTwoSided } from "./distribution.ts"
import type { Ends } from "./interval.ts"
import { mean, standardDeviation } from "./moments.ts"
import { wilson } from "./proportion.ts"

/** Values of runs, those that failed apart from the others. */
export interface Split {
  readonly failed: readonly number[]
  readonly others: readonly number[]
}

/** What is taken for a part of which a sample has no run: the values of other samples. */
export interface Elsewhere {
  /** Where failed runs lie; the baseline if none failed anywhere. */
  readonly failed: number
  /** The mean and the deviation of runs that did not fail; null if all failed everywhere. */
  readonly others: { readonly mean: number; readonly deviation: number } | null
}

/**
 * Interval of S, the standard deviation over runs of which some fail, with the coverage that the bootstrap does not
 * have: a sample of 30 in which no run failed says little about S if 3 % of runs fail, 18 points lower.
 *
 * With a share π of failed runs at mean f, and others at mean g, S² = π v_f + (1 − π) v_g + π (1 − π)(g − f)². For every
 * π in its Wilson interval, the bounds of v_f, v_g and g − f are combined as G. Zou and A. Donner, "Construction of
 * confidence limits about effect measures" (2008), do: the square root of the sum of their squared distances. The least
 * and the largest over π are the ends. The bounds of v are those of χ², with degrees of freedom lowered for kurtosis
 * (B. O'Neill, "Some useful moment results in sampling problems", 2014; kurtosis about a trimmed mean as in D. Bonett
 * 2006); those of g − f are Welch's. `test/simulation/coverage.ts` shows the coverage.
 *
 * @returns null with fewer than two values, or if all failed and none elsewhere did not
 */
export const spreadInterval = (
  { failed, others }: Split,
  elsewhere: Elsewhere,
  level: number,
): Ends | null => {
  const n = failed.length + others.length
  if (n < 2) return null
  const other = elsewhere.others
  if (others.length === 0 && other === null) return null
  const pooled = pooledOf(failed, others)
  const f = partOf(failed, { mean: elsewhere.failed, deviation: 0 }, pooled, level)
  const g = partOf(others, other, pooled, level)
  const gap = g.mean - f.mean
  const reach = welchReach([f, g], level)
  const larger = (Math.abs(gap) + reach) ** 2 - gap ** 2
  const smaller = gap ** 2 - Math.max(0, Math.abs(gap) - reach) ** 2
  const range = wilson(failed.length, n, level)
  let low = Number.POSITIVE_INFINITY
  let high = 0
  const pieces = 50
  for (let i = 0; i <= pieces; i++) {
    const share = range.low + ((range.high - range.low) * i) / pieces
    const between = share * (1 - share)
    const square = share * f.variance + (1 - share) * g.variance + between * gap ** 2
    const below = hypot(share * f.below, (1 - share) * g.below, between * smaller)
    const above = hypot(share * f.above, (1 - share) * g.above, between * larger)
    low = Math.min(low, square - below)
    high = Math.max(high, square + above)
  }
  return { low: Math.sqrt(Math.max(0, low)), high: Math.sqrt(high) }
}

interface Part {
  readonly mean: number
  readonly variance: number
  /** How far the bounds of the variance are from it. */
  readonly below: number
  readonly above: number
  /** Of the mean. */
  readonly squaredError: number
  readonly df: number
}

interface Variance {
  readonly variance: number
  readonly df: number
}

/** Fewer values than this say too little of their variance: that of both parts is taken. */
const fewest = 4

const partOf = (
  values: readonly number[],
  elsewhere: Elsewhere["others"],
  pooled: Variance | null,
  level: number,
): Part => {
  const n = values.length
  const centre = n === 0 ? (elsewhere?.mean ?? Number.NaN) : mean(values)
  const own =
    n >= fewest
      ? { variance: standardDeviation(values, 1) ** 2, df: degreesOfFreedom(values) }
      : n > 0
        ? pooled
        : null
  if (own === null) {
    // Taken as known.
    const variance = (elsewhere?.deviation ?? 0) ** 2
    const squaredError = n === 0 ? 0 : variance / n
    return { mean: centre, variance, below: 0, above: 0, squaredError, df: Number.POSITIVE_INFINITY }
  }
  const { variance, df } = own
  return {
    mean: centre,
    variance,
    below: variance - (variance * df) / chiSquareQuantile((1 + level) / 2, df),
    above: (variance * df) / chiSquareQuantile((1 - level) / 2, df) - variance,
    squaredError: variance / n,
    df: n >= fewest ? n - 1 : df,
  }
}

/** Within both parts; null if no value is left to estimate it from. */
const pooledOf = (first: readonly number[], second: readonly number[]): Variance | null => {
  const parts = [first, second].filter(({ length }) => length > 1)
  const df = parts.reduce((sum, { length }) => sum + length - 1, 0)
  if (df === 0) return null
  const squares = parts.reduce((sum, values) => sum + standardDeviation(values, 0) ** 2 * values.length, 0)
  return { variance: squares / df, df }
}

/** Of the variance of at least four values: 2n / (kurtosis − (n − 3)/(n − 1)), at most n − 1, which normal values have. */
const degreesOfFreedom = (values: readonly number[]): number => {
  const n = values.length
  const squares = standardDeviation(values, 0) ** 2 * n
  if (squares === 0) return n - 1
  const sorted = [...values].sort((a, b) => a - b)
  const cut = Math.min(Math.floor((n - 1) / 2), Math.floor(n / (2 * Math.sqrt(Math.max(1, n - 4)))))
  const centre = mean(sorted.slice(cut, n - cut))
  const kurtosis = (n * values.reduce((sum, value) => sum + (value - centre) ** 4, 0)) / squares ** 2
  return Math.min(n - 1, (2 * n) / (kurtosis - (n - 3) / (n - 1)))
}

/** Half the width of Welch's interval of the difference of the parts' means. */
const welchReach = (parts: readonly Part[], level: number): number => {
  const square = parts.reduce((sum, part) => sum + part.squaredError, 0)
  if (square === 0) return 0
  const df = square ** 2 / parts.reduce((sum, part) => sum + part.squaredError ** 2 / part.df, 0)
  const reach = df === Number.POSITIVE_INFINITY ? normalQuantile((1 + level) / 2) : studentTwoSided(level, df)
  return reach * Math.sqrt(square)
}

/**
 * Interval of a ratio of two spreads from that of each, by the same rule on logarithms. As if the samples were
 * independent: pairs that resemble one another make it wider than need be.
 */
export const ratioInterval = (
  first: { readonly value: number } & Ends,
  second: { readonly value: number } & Ends,
): Ends => {
  const ratio = first.value / second.value
  const reach = (one: number, other: number) => exp(hypot(log(one), log(other)))
  return {
    low: ratio / reach(first.value / first.low, second.high / second.value),
    high: ratio * reach(first.high / first.value, second.value / second.low),
  }
}

/** Distances from the median: of n values the middle one has 0. */
export const fromMedian = (values: readonly number[]): readonly number[] => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = (sorted[Math.floor((sorted.length - 1) / 2)]! + sorted[Math.floor(sorted.length / 2)]!) / 2
  return values.map((value) => Math.abs(value - middle))
}

const draws = stream(20250310, "paired-bootstrap")
const RESAMPLES = 4000

/**
 * Two-sided p of equal spreads from the paired bootstrap of their ratio: twice the share of resamples of pairs in which
 * the ratio is on the other side of 1. Where few runs fail it is too small.
 */
export const pairedBootstrap = (first: readonly number[], second: readonly number[]): number => {
  const n = first.length
  const chosen = integers({ stream: draws, site: 0, iteration: 0 }, RESAMPLES * n, n)
  const sample = new Float64Array(n)
  const spreadOf = (values: readonly number[], b: number): number => {
    for (let i = 0; i < n; i++) sample[i] = values[chosen[b * n + i]!]!
    return standardDeviation(sample, 0)
  }
  let below = 0
  for (let b = 0; b < RESAMPLES; b++) {
    const [s1, s2] = [spreadOf(first, b), spreadOf(second, b)]
    below += s1 < s2 ? 1 : s1 === s2 ? 0.5 : 0
  }
  return Math.min(1, (2 * (Math.min(below, RESAMPLES - below) + 1)) / (RESAMPLES + 1))
}
