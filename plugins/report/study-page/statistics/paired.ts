import type { MetricName } from "../../../../core/artifacts/metrics.ts"
import { rounded } from "../../shared/records.ts"
import { cellDifference, type PairedMean } from "../../shared/statistics/cells.ts"
import { crossedP } from "../../shared/statistics/crossed.ts"
import { signedRank } from "../../shared/statistics/signed-rank.ts"
import { type CohortStability, cellsOf } from "./stability.ts"

/** Two cohorts at one learning rate, seed by seed: equal seeds give equal head, order and dropout streams. */
export interface Comparison {
  readonly lr: number
  readonly baseline: string
  readonly arm: string
  /** the study's */
  readonly metric: MetricName
  /** metric(arm) − metric(baseline) in hundredths, at the seeds of which all runs have a value */
  readonly difference: PairedMean
  /** Of the t test, paired by seed, with checkpoints as a random effect; null below two seeds or without a spread. */
  readonly studentP: number | null
  /** Of the means over checkpoints; null if no seed differs. It takes the checkpoints as they are. */
  readonly signedRank: ReturnType<typeof signedRank>
  /** The least p that the signed-rank test can give with so many seeds; null without a common seed. */
  readonly leastP: number | null
}

/** Every later arm against the first arm that has cohorts, at every learning rate that both have. */
export const comparisonsOf = (cohorts: readonly CohortStability[]): readonly Comparison[] =>
  cohorts.flatMap((cohort) => {
    const baseline = cohorts.find(({ arm, lr }) => arm === cohorts[0]?.arm && lr === cohort.lr)
    return baseline === undefined || baseline.arm === cohort.arm ? [] : [compare(baseline, cohort)]
  })

const compare = (baseline: CohortStability, cohort: CohortStability): Comparison => {
  const difference = cellDifference(cellsOf(cohort), cellsOf(baseline))
  const { differences, crossed, interval, seeds } = difference
  return {
    lr: cohort.lr,
    baseline: baseline.arm,
    arm: cohort.arm,
    metric: cohort.metric,
    difference,
    studentP: crossed === null || interval.kind === "none" ? null : crossedP(crossed),
    // Rounded, so that equal gaps between counts are ties although the last bits of their differences may differ.
    signedRank: signedRank(differences.map((each) => rounded(each)!)),
    leastP: seeds === 0 ? null : 2 ** (1 - seeds),
  }
}
