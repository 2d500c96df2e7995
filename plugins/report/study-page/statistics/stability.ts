import type { Ratio } from "../../../../core/artifacts/metrics/ratio.ts"
import { type Interval, meanInterval } from "../../shared/statistics/interval.ts"
import { mean, standardDeviation } from "../../shared/statistics/moments.ts"
import { armsOf, distinct, isFailed, type RunRecord, type Study } from "../study.ts"
import { bcaInterval } from "./bootstrap.ts"

/** The runs of one arm at one peak learning rate, over seeds, and their stability. Accuracies are in %. */
export interface CohortStability {
  readonly arm: string
  readonly lr: number
  /** ascending by seed; units that gave no run included */
  readonly runs: readonly RunRecord[]
  /** runs that ended, with an accuracy or by diverging: the total of which `failures` are counted */
  readonly ended: number
  /** runs no better than the majority baseline, diverged ones included */
  readonly failures: number
  readonly diverged: number
  /** of the runs that did not diverge, ascending by seed */
  readonly accuracies: readonly number[]
  readonly mean: number | null
  readonly max: number | null
  /** S with ddof 0 and 1; null below two accuracies */
  readonly deviation: number | null
  readonly sampleDeviation: number | null
  readonly meanStudent: Interval
  readonly meanBootstrap: Interval
  /** of S with ddof 0 */
  readonly deviationBootstrap: Interval
}

export const percent = ({ numerator, denominator }: Ratio): number => (100 * numerator) / denominator

/** S(f) = √Var_r[accuracy(f_r)] */
const deviation = (accuracies: ArrayLike<number>): number => standardDeviation(accuracies, 0)

/** The cohorts of a study that have any record, in the order of arms shown, then by learning rate. */
export const stabilityOf = (study: Study): readonly CohortStability[] =>
  armsOf(study).flatMap((arm) => {
    const ofArm = study.runs.filter((run) => run.arm === arm)
    return distinct(ofArm, ({ lr }) => lr).map((lr) =>
      cohort(
        arm,
        lr,
        ofArm.filter((run) => run.lr === lr),
      ),
    )
  })

const cohort = (arm: string, lr: number, records: readonly RunRecord[]): CohortStability => {
  const runs = [...records].sort((a, b) => a.seed - b.seed)
  const accuracies = runs.flatMap((run) => (run.status === "done" ? [percent(run.value)] : []))
  const spread = accuracies.length > 1
  return {
    arm,
    lr,
    runs,
    ended: runs.filter(({ status }) => status !== "failed").length,
    failures: runs.filter(isFailed).length,
    diverged: runs.filter(({ status }) => status === "diverged").length,
    accuracies,
    mean: accuracies.length === 0 ? null : mean(accuracies),
    max: accuracies.length === 0 ? null : Math.max(...accuracies),
    deviation: spread ? deviation(accuracies) : null,
    sampleDeviation: spread ? standardDeviation(accuracies, 1) : null,
    meanStudent: meanInterval(accuracies),
    meanBootstrap: bcaInterval(accuracies, mean),
    deviationBootstrap: bcaInterval(accuracies, deviation),
  }
}
