import type { MetricName } from "../../../../core/artifacts/metrics.ts"
import { type Interval, meanInterval } from "../../shared/statistics/interval.ts"
import { mean } from "../../shared/statistics/moments.ts"
import { signedRank } from "../../shared/statistics/signed-rank.ts"
import type { CohortStability } from "./stability.ts"

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
