import { bisect, normalQuantile, studentTails, studentTwoSided } from "./distribution.ts"
import type { Ends } from "./interval.ts"
import { mean } from "./moments.ts"
import { SUFFICIENT_POWER } from "./power.ts"

/**
 * The difference of two sides whose runs share their fine-tuning seeds, each side with one or several checkpoints of
 * its own: seeds and checkpoints are crossed, and both are random. With one checkpoint on each side it is the paired
 * t test.
 */
export interface CrossedDifference {
  readonly seeds: number
  /** first − second */
  readonly difference: number
  /** Variances that add up to that of `difference`, each with its degrees of freedom: seeds first, then checkpoints. */
  readonly parts: readonly { readonly variance: number; readonly df: number }[]
}

/**
 * x_sc = μ + seed_s + checkpoint_c + rest_sc on each side, the seeds' effects being free to differ and to correlate
 * between sides. With D_s the difference of the sides' means at seed s, n seeds and K checkpoints of a side,
 *
 *     Var(D̄) = E[s²(D_s)] / n + Σ_sides (E[s²(x̄_c)] − E[MS_rest] / n) / K,
 *
 * because the seeds' effects cancel in the differences of checkpoints and the rest is in s²(D_s) already (the expected
 * mean squares of the crossed random model: H. Scheffé, "The Analysis of Variance", 1959, 7.4). A negative estimate
 * counts as 0. Two checkpoints have one degree of freedom, too few to subtract the rest: it stays in.
 *
 * @param first [seeds][checkpoints] @param second [seeds][checkpoints], the same seeds
 * @returns null below two seeds, which have no variance
 */
export const crossedDifference = (
  first: readonly (readonly number[])[],
  second: readonly (readonly number[])[],
): CrossedDifference | null => {
  const n = first.length
  if (n < 2) return null
  const differences = first.map((row, s) => mean(row) - mean(second[s]!))
  return {
    seeds: n,
    difference: mean(differences),
    parts: [
      { variance: sampleVariance(differences) / n, df: n - 1 },
      ...[first, second].flatMap((side) => {
        const variance = checkpointVariance(side)
        return variance === null ? [] : [{ variance, df: side[0]!.length - 1 }]
      }),
    ],
  }
}

/** What checkpoints add to the variance of a side's mean; null with a single one. */
const checkpointVariance = (side: readonly (readonly number[])[]): number | null => {
  const n = side.length
  const count = side[0]!.length
  if (count === 1) return null
  const bySeed = side.map((row) => mean(row))
  const byCheckpoint = side[0]!.map((_, c) => mean(side.map((row) => row[c]!)))
  const between = sampleVariance(byCheckpoint) / count
  if (count === 2) return between
  const all = mean(bySeed)
  let squares = 0
  for (const [s, row] of side.entries()) {
    for (const [c, value] of row.entries()) squares += (value - bySeed[s]! - byCheckpoint[c]! + all) ** 2
  }
  return Math.max(0, between - squares / ((n - 1) * (count - 1)) / (n * count))
}

const sampleVariance = (values: readonly number[]): number => {
  const centre = mean(values)
  return values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1)
}

/**
 * Half the width of the interval of `difference`: √V · Σ vᵢ t(dfᵢ) / V, V = Σ vᵢ (W. Cochran and G. Cox, "Experimental
 * Designs", 1957, 4.14). Where Satterthwaite's single number of degrees of freedom would be too many, as with few
 * checkpoints that differ much, this stays on the safe side.
 */
const halfWidth = (parts: CrossedDifference["parts"], level: number): number => {
  const variance = parts.reduce((sum, part) => sum + part.variance, 0)
  if (variance === 0) return 0
  return (
    parts.reduce((sum, { variance, df }) => sum + variance * studentTwoSided(level, df), 0) /
    Math.sqrt(variance)
  )
}

export const crossedInterval = ({ difference, parts }: CrossedDifference, level: number): Ends => {
  const half = halfWidth(parts, level)
  return { low: difference - half, high: difference + half }
}

/**
 * Two-sided p of `difference` = `hypothesis`: the α at which the interval ends there. If no value varies, nothing but
 * signs is left, and p is that of as many equal signs as there are seeds.
 */
export const crossedP = ({ seeds, difference, parts }: CrossedDifference, hypothesis = 0): number => {
  const distance = Math.abs(difference - hypothesis)
  if (distance === 0) return 1
  const varying = parts.filter(({ variance }) => variance > 0)
  const [only, ...others] = varying
  if (only === undefined) return 2 ** (1 - seeds)
  if (others.length === 0) return studentTails(distance / Math.sqrt(only.variance), only.df)
  return bisect(0, 1, (alpha) => halfWidth(parts, 1 - alpha) > distance)
}

/**
 * The number of seeds at which a difference like this one would be found at level 1 − α with probability .8, with the
 * same checkpoints; null if their variance alone is too large.
 */
export const crossedSeedsNeeded = (
  { seeds, difference, parts }: CrossedDifference,
  level: number,
): number | null => {
  const [ofSeeds, ...ofCheckpoints] = parts
  const perSeed = ofSeeds!.variance * seeds
  const fixed = ofCheckpoints.reduce((sum, { variance }) => sum + variance, 0)
  const power = normalQuantile(SUFFICIENT_POWER)
  const enough = (n: number): boolean => {
    const all = [{ variance: perSeed / n, df: n - 1 }, ...ofCheckpoints]
    return Math.abs(difference) >= halfWidth(all, level) + power * Math.sqrt(perSeed / n + fixed)
  }
  if (difference === 0) return null
  return leastEnough(enough)
}

const mostSeeds = 100_000

/** The least n ≥ 2 that is enough, if more is never worse; null above a hundred thousand. */
export const leastEnough = (enough: (n: number) => boolean): number | null => {
  let high = 2
  while (!enough(high)) {
    if (high > mostSeeds) return null
    high *= 2
  }
  let low = high / 2
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (enough(middle)) high = middle
    else low = middle
  }
  return high
}
