import type { MetricName } from "../../../../core/artifacts/metrics.ts"
import { type Interval, meanInterval } from "../../shared/statistics/interval.ts"
import { mean } from "../../shared/statistics/moments.ts"
import type { CohortStability } from "./stability.ts"

/**
 * Exact two-sided p value of Wilcoxon's signed-rank test: under the null hypothesis, both signs of each difference are
 * equally likely. Zeros are left out and tied magnitudes share their mean rank; the distribution is that of the actual
 * ranks over all 2ⁿ signs, so the value is exact with ties too.
 *
 * @returns null if all differences are zero; `n` counts the differences that are not zero
 */
export const signedRank = (
  differences: readonly number[],
): { readonly n: number; readonly p: number } | null => {
  const nonZero = differences.filter((difference) => difference !== 0)
  if (nonZero.length === 0) return null
  const ranks = doubledRanks(nonZero.map(Math.abs))
  const positive = ranks.reduce((sum, rank, i) => sum + (nonZero[i]! > 0 ? rank : 0), 0)
  const total = ranks.reduce((sum, rank) => sum + rank, 0)

  // probability[s]: the probability that the doubled ranks with a positive sign sum to s.
  const probability = new Float64Array(total + 1)
  probability[0] = 1
  let reached = 0
  for (const rank of ranks) {
    reached += rank
    for (let s = reached; s >= 0; s--) {
      probability[s] = (probability[s]! + (s >= rank ? probability[s - rank]! : 0)) / 2
    }
  }
  const tail = Math.min(positive, total - positive)
  const p = 2 * probability.subarray(0, tail + 1).reduce((sum, each) => sum + each, 0)
  return { n: nonZero.length, p: Math.min(1, p) }
}

/** Twice the rank of each value, ascending from 2; ties share their mean rank, which doubled is an integer. */
const doubledRanks = (values: readonly number[]): readonly number[] => {
  const sorted = [...values].sort((a, b) => a - b)
  return values.map((value) => sorted.indexOf(value) + 1 + sorted.lastIndexOf(value) + 1)
}

/** Holm's step-down adjustment of p values for their number; the order of the values is kept. */
export const holm = (pValues: readonly number[]): readonly number[] => {
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[a]! - pValues[b]!)
  const adjusted = new Array<number>(pValues.length)
  let largest = 0
  order.forEach((index, position) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - position) * pValues[index]!))
    adjusted[index] = largest
  })
  return adjusted
}

/** Two cohorts at one learning rate, run by run: equal seeds give equal head, order and dropout streams. */
export interface Comparison {
  readonly lr: number
  readonly baseline: string
  readonly arm: string
  /** the study's */
  readonly metric: MetricName
  /** metric(arm) − metric(baseline) in hundredths, for each seed that has both, ascending by seed */
  readonly differences: readonly number[]
  readonly mean: number | null
  readonly meanStudent: Interval
  readonly signedRank: ReturnType<typeof signedRank>
}

/** Every later arm against the first arm that has cohorts, at every learning rate that both have. */
export const comparisonsOf = (cohorts: readonly CohortStability[]): readonly Comparison[] =>
  cohorts.flatMap((cohort) => {
    const baseline = cohorts.find(({ arm, lr }) => arm === cohorts[0]?.arm && lr === cohort.lr)
    return baseline === undefined || baseline.arm === cohort.arm ? [] : [compare(baseline, cohort)]
  })

const compare = (baseline: CohortStability, cohort: CohortStability): Comparison => {
  const bySeed = new Map(baseline.runs.map((run) => [run.seed, run]))
  const differences = cohort.runs.flatMap((run) => {
    const other = bySeed.get(run.seed)
    if (run.status !== "done" || other?.status !== "done") return []
    // One division of integers: equal counts give exactly 0, and equal gaps give exactly equal differences.
    const [a, b] = [run.value, other.value]
    const gap = a.numerator * b.denominator - b.numerator * a.denominator
    return [(100 * gap) / (a.denominator * b.denominator)]
  })
  return {
    lr: cohort.lr,
    baseline: baseline.arm,
    arm: cohort.arm,
    metric: cohort.metric,
    differences,
    mean: differences.length === 0 ? null : mean(differences),
    meanStudent: meanInterval(differences),
    signedRank: signedRank(differences),
  }
}
