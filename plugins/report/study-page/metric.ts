import type { MetricName } from "../../../core/artifacts/metrics.ts"
import { decimal } from "./format.ts"
import type { RunRecord } from "./study.ts"

/** How the page writes a task's metric. */
export interface MetricWords {
  /** Within a sentence: accuracy. */
  readonly name: string
  /** With its article: an accuracy. */
  readonly one: string
  /** Correlations are multiplied by 100 too, as in GLUE. */
  readonly unit: "%" | "×100"
  /** What a run is compared with. */
  readonly baseline: string
  /** The same on its line in a figure. */
  readonly line: string
}

const majority = { baseline: "majority baseline", line: "majority" }
const meanScore = { baseline: "baseline that always predicts the mean score", line: "baseline" }

const words: Readonly<Record<MetricName, MetricWords>> = {
  accuracy: { name: "accuracy", one: "an accuracy", unit: "%", ...majority },
  f1: { name: "F1", one: "an F1", unit: "%", ...majority },
  matthews: {
    name: "Matthews correlation",
    one: "a Matthews correlation",
    unit: "×100",
    ...majority,
  },
  pearson: { name: "Pearson correlation", one: "a Pearson correlation", unit: "×100", ...meanScore },
  spearman: { name: "Spearman correlation", one: "a Spearman correlation", unit: "×100", ...meanScore },
}

/** The task's metric, by which the runs were scored; accuracy if none was. */
export const metricOf = (runs: readonly RunRecord[]): MetricName =>
  runs.flatMap((run) => (run.status === "done" ? [run.metric] : []))[0] ?? "accuracy"

export const wordsOf = (metric: MetricName): MetricWords => words[metric]

/** 72.1 %, or 54.3 ×100. */
export const amount = (hundredths: number, { unit }: MetricWords): string =>
  `${decimal(hundredths, 1)} ${unit}`
