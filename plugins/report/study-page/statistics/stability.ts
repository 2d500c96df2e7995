import type { Ratio } from "../../../../core/artifacts/metrics/ratio.ts"
import type { MetricName } from "../../../../core/artifacts/metrics.ts"
import { elsewhereOf } from "../../shared/claims/smaller-spread.ts"
import { bcaInterval } from "../../shared/statistics/bootstrap.ts"
import { type Cell, cellMean, checkpointsOf, inOrder } from "../../shared/statistics/cells.ts"
import type { Ends } from "../../shared/statistics/interval.ts"
import { COVERAGE, type Interval } from "../../shared/statistics/interval.ts"
import { mean, standardDeviation } from "../../shared/statistics/moments.ts"
import { type Elsewhere, spreadInterval } from "../../shared/statistics/spread.ts"
import { metricOf } from "../metric.ts"
import { armsOf, distinct, isFailed, type RunRecord, type Study } from "../study.ts"

/** Runs of one arm at one peak learning rate, and their stability. Values of the metric are in hundredths. */
export interface Stability {
  /** ascending by checkpoint and seed; units that gave no run included */
  readonly runs: readonly RunRecord[]
  /** runs that ended, with a value or by diverging: the total of which `failures` are counted */
  readonly ended: number
  /** runs no better than the baseline, diverged ones included */
  readonly failures: number
  readonly diverged: number
  /** of the runs that did not diverge, in the order of `runs` */
  readonly values: readonly number[]
  readonly mean: number | null
  readonly max: number | null
  /** S with ddof 0 and 1; null below two values */
  readonly deviation: number | null
  readonly sampleDeviation: number | null
  /** 95 % interval of S; null without one, and over several checkpoints, whose runs are not independent */
  readonly deviationInterval: Ends | null
}

/** Of all checkpoints of an arm together. */
export interface CohortStability extends Stability {
  readonly arm: string
  readonly lr: number
  /** the study's */
  readonly metric: MetricName
  /** of each checkpoint by itself, if the arm has several; else none */
  readonly checkpoints: readonly (Stability & { readonly checkpoint: number })[]
  /** S around each checkpoint's own mean, ddof 0; null without a spread, or if there is one checkpoint */
  readonly withinDeviation: number | null
  readonly meanInterval: Interval
  /** null over several checkpoints, whose runs are not independent */
  readonly meanBootstrap: Interval | null
}

/** A metric as tables and figures show it: multiplied by 100. */
export const hundredths = ({ numerator, denominator }: Ratio): number => (100 * numerator) / denominator

/** S(f) = √Var_r[metric(f_r)] */
const deviation = (values: ArrayLike<number>): number => standardDeviation(values, 0)

/** The cohorts of a study that have any record, in the order of arms shown, then by learning rate. */
export const stabilityOf = (study: Study): readonly CohortStability[] => {
  const metric = metricOf(study.runs)
  const elsewhere = elsewhereIn(study.runs)
  return armsOf(study).flatMap((arm) => {
    const ofArm = study.runs.filter((run) => run.arm === arm)
    return distinct(ofArm, ({ lr }) => lr).map((lr) => ({
      arm,
      lr,
      metric,
      ...cohort(
        ofArm.filter((run) => run.lr === lr),
        elsewhere,
      ),
    }))
  })
}

/** Where failed runs and the others lie in the whole study: what an interval of S takes for what a cohort lacks. */
const elsewhereIn = (runs: readonly RunRecord[]): Elsewhere =>
  elsewhereOf(
    runs.map((run) => ({
      value: run.status === "done" ? hundredths(run.value) : null,
      baseline: run.status === "done" ? hundredths(run.baseline) : null,
      failed: isFailed(run),
    })),
  )

const cohort = (records: readonly RunRecord[], elsewhere: Elsewhere) => {
  const all = stability(records, elsewhere)
  const seeds = checkpointsOf(records).filter((checkpoint) => checkpoint !== null)
  const checkpoints =
    seeds.length < 2
      ? []
      : seeds.map((checkpoint) => ({
          checkpoint,
          ...stability(
            records.filter((run) => run.checkpoint === checkpoint),
            elsewhere,
          ),
        }))
  return {
    ...all,
    deviationInterval: checkpoints.length > 0 ? null : all.deviationInterval,
    checkpoints,
    withinDeviation: withinDeviation(checkpoints),
    meanInterval: cellMean(cellsOf(all)).interval,
    meanBootstrap: checkpoints.length > 0 ? null : bcaInterval(all.values, mean),
  }
}

const stability = (records: readonly RunRecord[], elsewhere: Elsewhere): Stability => {
  const runs = inOrder(records)
  const valuesOf = (failed: boolean) =>
    runs.flatMap((run) => (run.status === "done" && isFailed(run) === failed ? [hundredths(run.value)] : []))
  const values = runs.flatMap((run) => (run.status === "done" ? [hundredths(run.value)] : []))
  const spread = values.length > 1
  return {
    runs,
    ended: runs.filter(({ status }) => status !== "failed").length,
    failures: runs.filter(isFailed).length,
    diverged: runs.filter(({ status }) => status === "diverged").length,
    values,
    mean: values.length === 0 ? null : mean(values),
    max: values.length === 0 ? null : Math.max(...values),
    deviation: spread ? deviation(values) : null,
    sampleDeviation: spread ? standardDeviation(values, 1) : null,
    deviationInterval: spreadInterval(
      { failed: valuesOf(true), others: valuesOf(false) },
      elsewhere,
      COVERAGE,
    ),
  }
}

/** The least value of a metric, in hundredths. */
const worst: Readonly<Record<MetricName, number>> = {
  accuracy: 0,
  f1: 0,
  matthews: -100,
  pearson: -100,
  spearman: -100,
}

/** The mean if every run that diverged had the least value of the metric; null without runs. */
export const worstCaseMean = ({
  values,
  diverged,
  metric,
}: Stability & { readonly metric: MetricName }): number | null =>
  values.length + diverged === 0
    ? null
    : mean([...values, ...new Array<number>(diverged).fill(worst[metric])])

/** The values of the runs that have one, in hundredths. */
export const cellsOf = ({ runs }: Stability): readonly Cell[] =>
  runs.flatMap((run) =>
    run.status === "done"
      ? [{ checkpoint: run.checkpoint, seed: run.seed, value: hundredths(run.value) }]
      : [],
  )

/** √(Σ_c Σ_r (f_cr − mean_c)² / runs) over the checkpoints c that have a spread. */
const withinDeviation = (checkpoints: readonly Stability[]): number | null => {
  const spread = checkpoints.filter(({ deviation }) => deviation !== null)
  const runs = spread.reduce((sum, { values }) => sum + values.length, 0)
  const squares = spread.reduce((sum, { values, deviation }) => sum + values.length * deviation! ** 2, 0)
  return runs === 0 ? null : Math.sqrt(squares / runs)
}
