import type { Ratio } from "../../../../core/artifacts/metrics/ratio.ts"
import type { MetricName } from "../../../../core/artifacts/metrics.ts"
import { bcaInterval } from "../../shared/statistics/bootstrap.ts"
import { type Interval, meanInterval } from "../../shared/statistics/interval.ts"
import { mean, standardDeviation } from "../../shared/statistics/moments.ts"
import { metricOf } from "../metric.ts"
import { armsOf, distinct, isFailed, type RunRecord, type Study } from "../study.ts"

/** The runs of one arm at one peak learning rate, over seeds, and their stability. Values of the metric are in hundredths. */
export interface CohortStability {
  readonly arm: string
  readonly lr: number
  /** the study's */
  readonly metric: MetricName
  /** ascending by seed; units that gave no run included */
  readonly runs: readonly RunRecord[]
  /** runs that ended, with a value or by diverging: the total of which `failures` are counted */
  readonly ended: number
  /** runs no better than the baseline, diverged ones included */
  readonly failures: number
  readonly diverged: number
  /** of the runs that did not diverge, ascending by seed */
  readonly values: readonly number[]
  readonly mean: number | null
  readonly max: number | null
  /** S with ddof 0 and 1; null below two values */
  readonly deviation: number | null
  readonly sampleDeviation: number | null
  readonly meanStudent: Interval
  readonly meanBootstrap: Interval
  /** of S with ddof 0 */
  readonly deviationBootstrap: Interval
}

/** A metric as tables and figures show it: multiplied by 100. */
export const hundredths = ({ numerator, denominator }: Ratio): number => (100 * numerator) / denominator

/** S(f) = √Var_r[metric(f_r)] */
const deviation = (values: ArrayLike<number>): number => standardDeviation(values, 0)

/** The cohorts of a study that have any record, in the order of arms shown, then by learning rate. */
export const stabilityOf = (study: Study): readonly CohortStability[] => {
  const metric = metricOf(study.runs)
  return armsOf(study).flatMap((arm) => {
    const ofArm = study.runs.filter((run) => run.arm === arm)
    return distinct(ofArm, ({ lr }) => lr).map((lr) =>
      cohort(
        metric,
        arm,
        lr,
        ofArm.filter((run) => run.lr === lr),
      ),
    )
  })
}

const cohort = (
  metric: MetricName,
  arm: string,
  lr: number,
  records: readonly RunRecord[],
): CohortStability => {
  const runs = [...records].sort((a, b) => a.seed - b.seed)
  const values = runs.flatMap((run) => (run.status === "done" ? [hundredths(run.value)] : []))
  const spread = values.length > 1
  return {
    arm,
    lr,
    metric,
    runs,
    ended: runs.filter(({ status }) => status !== "failed").length,
    failures: runs.filter(isFailed).length,
    diverged: runs.filter(({ status }) => status === "diverged").length,
    values,
    mean: values.length === 0 ? null : mean(values),
    max: values.length === 0 ? null : Math.max(...values),
    deviation: spread ? deviation(values) : null,
    sampleDeviation: spread ? standardDeviation(values, 1) : null,
    meanStudent: meanInterval(values),
    meanBootstrap: bcaInterval(values, mean),
    deviationBootstrap: bcaInterval(values, deviation),
  }
}
