import { rounded } from "../../shared/records.ts"
import { RESAMPLES } from "../../shared/statistics/bootstrap.ts"
import type { Interval } from "../../shared/statistics/interval.ts"
import { left, right, type Table } from "../../shared/table.ts"
import { decimal, ends, interval, learningRate } from "../format.ts"
import { amount, capitalised, type MetricWords, wordsOf } from "../metric.ts"
import { type CohortStability, hundredths } from "../statistics/stability.ts"

/** Table 1: stability of fine-tuning, by arm and peak learning rate. */
export const stabilityTable = (cohorts: readonly CohortStability[]): Table => ({
  name: "table-1",
  title: titleOf(wordsOf(cohorts[0]?.metric ?? "accuracy")),
  columns: [
    left("arm"),
    right("peak\u00a0lr"),
    right("runs"),
    right("S"),
    right("S, 95\u00a0%\u00a0BCa"),
    right("S, ddof\u00a01"),
    right("mean"),
    right("mean, 95\u00a0%\u00a0t"),
    right("mean, 95\u00a0%\u00a0BCa"),
    right("max"),
    right("failures"),
    right("of which diverged"),
  ],
  rows: cohorts.map((cohort) => [
    cohort.arm,
    learningRate(cohort.lr),
    String(cohort.ended),
    cohort.deviation === null ? few(cohort) : decimal(cohort.deviation, 1),
    spread(cohort, cohort.deviationBootstrap),
    cohort.sampleDeviation === null ? few(cohort) : decimal(cohort.sampleDeviation, 1),
    cohort.mean === null ? few(cohort) : decimal(cohort.mean, 1),
    spread(cohort, cohort.meanStudent),
    spread(cohort, cohort.meanBootstrap),
    cohort.max === null ? few(cohort) : decimal(cohort.max, 1),
    cohort.ended === 0 ? "no run" : `${cohort.failures} of ${cohort.ended}`,
    String(cohort.diverged),
  ]),
  notes: cohorts.length === 0 ? ["No fine-tuning run was recorded."] : notes(cohorts),
  data: {
    columns: [
      "arm",
      "lr",
      "runs",
      "s_ddof0",
      "s_bca_low",
      "s_bca_high",
      "s_ddof1",
      "mean",
      "mean_t_low",
      "mean_t_high",
      "mean_bca_low",
      "mean_bca_high",
      "max",
      "failures",
      "diverged",
      "units_without_run",
    ],
    rows: cohorts.map((cohort) => [
      cohort.arm,
      cohort.lr,
      cohort.ended,
      ...[
        cohort.deviation,
        ...ends(cohort.deviationBootstrap),
        cohort.sampleDeviation,
        cohort.mean,
        ...ends(cohort.meanStudent),
        ...ends(cohort.meanBootstrap),
        cohort.max,
      ].map(rounded),
      cohort.failures,
      cohort.diverged,
      cohort.runs.length - cohort.ended,
    ]),
  },
})

const titleOf = ({ name, unit }: MetricWords): string =>
  `Table 1. ${capitalised(name)} after fine-tuning, over seeds (${unit})`

const few = ({ values, diverged }: CohortStability): string => {
  if (values.length === 1) return "one run"
  return diverged > 0 ? "all diverged" : "no run"
}

const spread = (cohort: CohortStability, of: Interval): string =>
  cohort.values.length === 0 ? few(cohort) : interval(of, 1, "run")

const notes = (cohorts: readonly CohortStability[]): readonly string[] => {
  const { metric } = cohorts[0]!
  const { name, one, baseline } = wordsOf(metric)
  const found = baselines(cohorts)
  return [
    `S is the standard deviation of the ${name} over seeds: S(f) = √Var[${name}], with ddof 0.`,
    metric === "accuracy"
      ? `A run fails if it classifies no more dev examples correctly than the majority baseline (${found}); counts are compared.`
      : `A run fails if its ${name} is no higher than that of the ${baseline} (${found}).`,
    `A run that diverged (its loss, gradients or logits were not finite) counts as failed; it has no ${name} and is left out of S, mean and max.`,
    `95 % intervals: Student's t, and the BCa bootstrap with ${RESAMPLES} resamples from a fixed seed. A cell without an interval says why: too few runs with ${one}, all of them equal, or a one-sided bootstrap distribution.`,
  ]
}

/** "146 of 277" for accuracy, "81.2 %" for F1. */
const baselines = (cohorts: readonly CohortStability[]): string => {
  const found = cohorts.flatMap(({ runs, metric }) =>
    runs.flatMap((run) => {
      if (run.status !== "done") return []
      const { numerator, denominator } = run.baseline
      return metric === "accuracy"
        ? [`${numerator} of ${denominator}`]
        : [amount(hundredths(run.baseline), wordsOf(metric))]
    }),
  )
  const { one } = wordsOf(cohorts[0]!.metric)
  return found.length === 0 ? `unknown, since no run has ${one}` : [...new Set(found)].join(", ")
}
