import { exp, log1p } from "../../../../core/tensor/elementary.ts"
import { permutation, stream } from "../../../../core/tensor/stream.ts"
import { normalQuantile } from "./distribution.ts"
import type { Ends } from "./interval.ts"
import { jackknifeInterval } from "./jackknife.ts"
import { mean } from "./moments.ts"
import { SUFFICIENT_POWER } from "./power.ts"

/** Two numbers of every unit, such as a seed, in one stratum, such as a cohort. */
export interface Stratum {
  /** [units] */
  readonly x: readonly number[]
  /** [units] */
  readonly y: readonly number[]
}

/** Ranks from 1; ties share their mean. */
export const ranks = (values: readonly number[]): readonly number[] => {
  const sorted = [...values].sort((a, b) => a - b)
  return values.map((value) => (sorted.indexOf(value) + sorted.lastIndexOf(value)) / 2 + 1)
}

/** Spearman's: each stratum by its own ranks. */
export const ranked = (strata: readonly Stratum[]): readonly Stratum[] =>
  strata.map(({ x, y }) => ({ x: ranks(x), y: ranks(y) }))

const centred = (values: readonly number[]): readonly number[] => {
  const centre = mean(values)
  return values.map((value) => value - centre)
}

/** Pearson's correlation within strata: Σ xy / √(Σ x² Σ y²) of distances from the stratum's means. NaN if undefined. */
export const correlationWithin = (strata: readonly Stratum[]): number => {
  let [xy, xx, yy] = [0, 0, 0]
  for (const { x, y } of strata) {
    const [dx, dy] = [centred(x), centred(y)]
    for (let i = 0; i < x.length; i++) {
      xy += dx[i]! * dy[i]!
      xx += dx[i]! ** 2
      yy += dy[i]! ** 2
    }
  }
  return xx === 0 || yy === 0 ? Number.NaN : xy / Math.sqrt(xx * yy)
}

const draws = stream(20250310, "permutation")
const DRAWN = 10_000
/** 7! = 5040. */
const mostEnumerated = 7

/**
 * Two-sided p of the correlation within strata. One permutation moves x among the units of all strata alike: what the
 * strata share through a unit, as cohorts share seeds, stays together. All permutations of up to 7 units, beyond those
 * 10,000 drawn and the observed order.
 */
export const permutationP = (strata: readonly Stratum[]): number => {
  const n = strata[0]!.x.length
  const centre = strata.map(({ x, y }) => ({ x: centred(x), y: centred(y) }))
  const sumOf = (order: ArrayLike<number>): number => {
    let sum = 0
    for (const { x, y } of centre) for (let i = 0; i < n; i++) sum += x[order[i]!]! * y[i]!
    return Math.abs(sum)
  }
  const observed = sumOf(Array.from({ length: n }, (_, i) => i)) * (1 - 1e-12)
  if (observed === 0) return 1
  if (n <= mostEnumerated) {
    const orders = permutations(n)
    return orders.filter((order) => sumOf(order) >= observed).length / orders.length
  }
  let hits = 1
  for (let b = 0; b < DRAWN; b++) if (sumOf(permutation(draws, n, b)) >= observed) hits++
  return hits / (DRAWN + 1)
}

/**
 * The least p that {@link permutationP} can give with n units.
 *
 * @param ofRanks of one stratum, whose order turned round is as far from no correlation: two permutations give what is
 *   observed. Of several strata, or of numbers that are not ranks, one may be alone.
 */
export const leastPermutationP = (n: number, ofRanks: boolean): number => {
  if (n > mostEnumerated) return 1 / (DRAWN + 1)
  return Math.min(1, (ofRanks || n === 2 ? 2 : 1) / factorial(n))
}

const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1))

const permutations = (n: number): readonly (readonly number[])[] =>
  n === 0
    ? [[]]
    : permutations(n - 1).flatMap((shorter) =>
        Array.from({ length: n }, (_, at) => [...shorter.slice(0, at), n - 1, ...shorter.slice(at)]),
      )

const without = (strata: readonly Stratum[], unit: number): readonly Stratum[] =>
  strata.map(({ x, y }) => ({ x: x.filter((_, i) => i !== unit), y: y.filter((_, i) => i !== unit) }))

/** Interval of the correlation: jackknife over units of Fisher's artanh r. Null at ±1 and below four units. */
export const correlationInterval = (
  strata: readonly Stratum[],
  correlation: (of: readonly Stratum[]) => number,
  level: number,
): Ends | null => {
  const n = strata[0]!.x.length
  if (n < 4) return null
  const z = jackknifeInterval(
    n,
    fisherZ(correlation(strata)),
    (unit) => fisherZ(correlation(without(strata, unit))),
    level,
  )
  return z === null ? null : { low: correlationOf(z.low), high: correlationOf(z.high) }
}

/**
 * The means of y where x is 1 and where it is not, over strata weighted by n₁n₀/n: one in which all are alike does not
 * count. NaN if there is none other.
 */
export const meansWithin = (
  strata: readonly Stratum[],
): { readonly ones: number; readonly others: number } => {
  let [sumOfOnes, sumOfOthers, weights] = [0, 0, 0]
  for (const { x, y } of strata) {
    const ones = y.filter((_, i) => x[i] === 1)
    const others = y.filter((_, i) => x[i] !== 1)
    if (ones.length === 0 || others.length === 0) continue
    const weight = (ones.length * others.length) / y.length
    sumOfOnes += weight * mean(ones)
    sumOfOthers += weight * mean(others)
    weights += weight
  }
  return { ones: sumOfOnes / weights, others: sumOfOthers / weights }
}

/** The difference of {@link meansWithin}, ones − others. */
export const differenceWithin = (strata: readonly Stratum[]): number => {
  const { ones, others } = meansWithin(strata)
  return ones - others
}

/** Interval of {@link differenceWithin}: jackknife over units. */
export const differenceInterval = (strata: readonly Stratum[], level: number): Ends | null =>
  jackknifeInterval(
    strata[0]!.x.length,
    differenceWithin(strata),
    (unit) => differenceWithin(without(strata, unit)),
    level,
  )

/**
 * Units of each stratum at which a correlation like this would be found with probability .8, by Fisher's z: it varies
 * by 1/√(pairs − 3), pairs being those of all strata. Null without one.
 */
export const correlationSeeds = (strata: readonly Stratum[], level: number): number | null => {
  const z = Math.abs(fisherZ(correlationWithin(strata)))
  if (!(z > 0)) return null
  const pairs = ((normalQuantile((1 + level) / 2) + normalQuantile(SUFFICIENT_POWER)) / z) ** 2 + 3
  return Math.max(3, Math.ceil(pairs / strata.length))
}

/** Fisher's z, artanh r. */
const fisherZ = (r: number): number => (log1p(r) - log1p(-r)) / 2

/** r from Fisher's z, tanh z. */
const correlationOf = (z: number): number => 1 - 2 / (exp(2 * z) + 1)
