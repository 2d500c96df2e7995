import { accuracy } from "./metrics/accuracy.ts"
import { f1 } from "./metrics/f1.ts"
import { matthews } from "./metrics/matthews.ts"
import { pearson } from "./metrics/pearson.ts"
import { exceeds, type Ratio } from "./metrics/ratio.ts"
import { spearman } from "./metrics/spearman.ts"

/** The metrics of GLUE's tasks: the first three compare classes, the others scores. Higher is better. */
export const metricNames = ["accuracy", "f1", "matthews", "pearson", "spearman"] as const
export type MetricName = (typeof metricNames)[number]

interface Metric {
  readonly compares: "classes" | "scores"
  readonly of: (predictions: Float64Array, labels: Float64Array) => Ratio
}

/** An undefined correlation, that of a constant, counts as none. */
const correlation =
  (of: (x: Float64Array, y: Float64Array) => number) =>
  (predictions: Float64Array, labels: Float64Array): Ratio => {
    const value = of(predictions, labels)
    return { numerator: Number.isNaN(value) ? 0 : value, denominator: 1 }
  }

const metrics: Readonly<Record<MetricName, Metric>> = {
  accuracy: { compares: "classes", of: accuracy },
  f1: { compares: "classes", of: f1 },
  matthews: { compares: "classes", of: correlation(matthews) },
  pearson: { compares: "scores", of: correlation(pearson) },
  spearman: { compares: "scores", of: correlation(spearman) },
}

/**
 * Why metrics do not fit a task.
 *
 * @param labelNames the task's classes, or null if its labels are scores
 */
export const metricProblems = (
  names: readonly MetricName[],
  labelNames: readonly string[] | null,
): readonly string[] => {
  const labels = labelNames === null ? "scores" : "classes"
  return names.flatMap((name) => {
    if (metrics[name].compares !== labels) {
      return [`the metric ${name} compares ${metrics[name].compares}, but the labels are ${labels}`]
    }
    return name === "f1" && labelNames?.length !== 2
      ? [`the metric f1 needs two classes, found ${labelNames?.length}`]
      : []
  })
}

/** A metric of predictions, and that of a baseline that predicts the same for every example. */
export interface Score {
  readonly metric: MetricName
  readonly value: Ratio
  readonly baseline: Ratio
}

/** How predictions fit the labels by one metric. */
export const score = (metric: MetricName, { predictions, labels, baseline }: Predictions): Score => ({
  metric,
  value: metrics[metric].of(predictions, labels),
  baseline: metrics[metric].of(
    labels.map(() => baseline),
    labels,
  ),
})

interface Predictions {
  readonly predictions: Float64Array
  readonly labels: Float64Array
  /** What the baseline predicts. */
  readonly baseline: number
}

/** Whether predictions are no better than the baseline's; exact if the metric compares counts. */
export const isNoBetter = ({ value, baseline }: Score): boolean => !exceeds(value, baseline)
