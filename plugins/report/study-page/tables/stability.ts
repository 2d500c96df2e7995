import { capitalised } from "../../shared/claims/words.ts"
import { rounded } from "../../shared/records.ts"
import type { Ends } from "../../shared/statistics/interval.ts"
import { COVERAGE } from "../../shared/statistics/interval.ts"
import { wilson } from "../../shared/statistics/proportion.ts"
import { left, right, type Table } from "../../shared/table.ts"
import { decimal, ends, interval, learningRate } from "../format.ts"
import { amount, type MetricWords, wordsOf } from "../metric.ts"
import { type CohortStability, hundredths, type Stability, worstCaseMean } from "../statistics/stability.ts"

/** Table 1: stability of fine-tuning, by arm and peak learning rate. */
export const stabilityTable = (cohorts: readonly CohortStability[]): Table => {
  const several = cohorts.some(({ checkpoints }) => checkpoints.length > 0)
  const diverged = cohorts.some((cohort) => cohort.diverged > 0)
  return {
    name: "table-1",
    title: titleOf(wordsOf(cohorts[0]?.metric ?? "accuracy")),
    columns: [
      left("arm"),
      right("peak\u00a0lr"),
      ...(several ? [right("checkpoints")] : []),
      right("runs"),
      right("S"),
      right("S, 95\u00a0%"),
      ...(several ? [right("S within checkpoints")] : []),
      right("S, ddof\u00a01"),
      right("mean"),
      right("mean, 95\u00a0%"),
      ...(diverged ? [right("worst-case mean")] : []),
      right("max"),
      right("failures"),
      right("failures, 95\u00a0%"),
      ...(diverged ? [right("of which diverged")] : []),
    ],
    rows: cohorts.map((cohort) => [
      cohort.arm,
      learningRate(cohort.lr),
      ...(several ? [String(Math.max(1, cohort.checkpoints.length))] : []),
      String(cohort.ended),
      shown(cohort, cohort.deviation),
      spreadText(cohort),
      ...(several ? [within(cohort)] : []),
      shown(cohort, cohort.sampleDeviation),
      shown(cohort, cohort.mean),
      cohort.values.length === 0 ? few(cohort) : interval(cohort.meanInterval, 1, "run"),
      ...(diverged ? [shown(cohort, worstCaseMean(cohort))] : []),
      shown(cohort, cohort.max),
      cohort.ended === 0 ? "no run" : `${cohort.failures} of ${cohort.ended}`,
      cohort.ended === 0 ? "no run" : rate(cohort),
      ...(diverged ? [String(cohort.diverged)] : []),
    ]),
    notes: cohorts.length === 0 ? ["No fine-tuning run was recorded."] : notes(cohorts),
    data: {
      columns: [
        ...["arm", "lr", "checkpoint", "runs", "s_ddof0", "s_low", "s_high", "s_within", "s_ddof1"],
        ...["mean", "mean_low", "mean_high", "mean_bca_low", "mean_bca_high", "worst_case_mean", "max"],
        ...["failures", "failures_low", "failures_high", "diverged", "units_without_run"],
      ],
      rows: cohorts.flatMap((cohort) => {
        const { arm, lr, checkpoints } = cohort
        return [
          [
            ...[arm, lr, "all", cohort.ended],
            ...[
              cohort.deviation,
              ...endsOf(cohort.deviationInterval),
              cohort.withinDeviation,
              cohort.sampleDeviation,
              cohort.mean,
              ...ends(cohort.meanInterval),
              ...(cohort.meanBootstrap === null ? [null, null] : ends(cohort.meanBootstrap)),
              worstCaseMean(cohort),
              cohort.max,
            ].map(rounded),
            ...failureFields(cohort),
          ],
          ...checkpoints.map((each) => [
            ...[arm, lr, each.checkpoint, each.ended],
            ...[each.deviation, ...endsOf(each.deviationInterval), null].map(rounded),
            ...[each.sampleDeviation, each.mean].map(rounded),
            ...[null, null, null, null, worstCaseMean({ ...each, metric: cohort.metric }), each.max].map(
              rounded,
            ),
            ...failureFields(each),
          ]),
        ]
      }),
    },
  }
}

/** Each checkpoint by itself, where an arm has several; null if none has. */
export const checkpointsTable = (cohorts: readonly CohortStability[]): Table | null => {
  const rows = cohorts.flatMap(({ arm, lr, checkpoints }) =>
    checkpoints.map((each) => ({ arm, lr, ...each })),
  )
  if (rows.length === 0) return null
  const { name } = wordsOf(cohorts[0]!.metric)
  return {
    name: "checkpoints",
    title: `${capitalised(name)} of single checkpoints`,
    columns: [
      left("arm"),
      right("peak\u00a0lr"),
      right("checkpoint"),
      right("runs"),
      right("S"),
      right("S, 95\u00a0%"),
      right("mean"),
      right("max"),
      right("failures"),
      right("failures, 95\u00a0%"),
    ],
    rows: rows.map((each) => [
      each.arm,
      learningRate(each.lr),
      String(each.checkpoint),
      String(each.ended),
      shown(each, each.deviation),
      spreadText({ ...each, checkpoints: [] }),
      shown(each, each.mean),
      shown(each, each.max),
      `${each.failures} of ${each.ended}`,
      each.ended === 0 ? "no run" : rate(each),
    ]),
    notes: [
      "A checkpoint is named by the seed of its further training. What differs between checkpoints of an arm is chance in that training.",
    ],
    data: {
      columns: ["arm", "lr", "checkpoint", "runs", "s_ddof0", "s_low", "s_high", "mean", "max", "failures"],
      rows: rows.map((each) => [
        ...[each.arm, each.lr, each.checkpoint, each.ended],
        ...[each.deviation, ...endsOf(each.deviationInterval), each.mean, each.max].map(rounded),
        each.failures,
      ]),
    },
  }
}

const titleOf = ({ name, unit }: MetricWords): string =>
  `Table 1. ${capitalised(name)} after fine-tuning, over seeds (${unit})`

const few = ({ values, diverged }: Stability): string => {
  if (values.length === 1) return "one run"
  return diverged > 0 ? "all diverged" : "no run"
}

const shown = (cohort: Stability, value: number | null): string =>
  value === null ? few(cohort) : decimal(value, 1)

const spreadText = (of: Stability & Pick<CohortStability, "checkpoints">): string => {
  if (of.values.length < 2) return few(of)
  if (of.checkpoints.length > 0) return "by checkpoint"
  const ends = of.deviationInterval
  return ends === null ? "all failed" : `${decimal(ends.low, 1)} to ${decimal(ends.high, 1)}`
}

const endsOf = (ends: Ends | null): readonly [number | null, number | null] =>
  ends === null ? [null, null] : [ends.low, ends.high]

const within = ({ checkpoints, withinDeviation }: CohortStability): string => {
  if (checkpoints.length === 0) return ""
  return withinDeviation === null ? "one run each" : decimal(withinDeviation, 1)
}

/** In per cent. */
const wilsonOf = ({ failures, ended }: Stability): readonly [number, number] => {
  const { low, high } = wilson(failures, ended, COVERAGE)
  return [100 * low, 100 * high]
}

const rate = (cohort: Stability): string => {
  const [low, high] = wilsonOf(cohort)
  return `${decimal(low, 0)} to ${decimal(high, 0)}\u00a0%`
}

const failureFields = (of: Stability) => [
  of.failures,
  ...(of.ended === 0 ? [null, null] : wilsonOf(of)).map(rounded),
  of.diverged,
  of.runs.length - of.ended,
]

const notes = (cohorts: readonly CohortStability[]): readonly string[] => {
  const { metric } = cohorts[0]!
  const { name, one, baseline } = wordsOf(metric)
  const found = baselines(cohorts)
  const several = cohorts.some(({ checkpoints }) => checkpoints.length > 0)
  const diverged = cohorts.some((cohort) => cohort.diverged > 0)
  return [
    `S is the standard deviation of the ${name} over seeds: S(f) = √Var[${name}], with ddof 0.${several ? " Over all runs of an arm it contains what its checkpoints differ by; within checkpoints, it is the deviation from each checkpoint's own mean." : ""}`,
    metric === "accuracy"
      ? `A run fails if it classifies no more dev examples correctly than the majority baseline (${found}); counts are compared.`
      : `A run fails if its ${name} is no higher than that of the ${baseline} (${found}).`,
    `A run that diverged (its loss, gradients or logits were not finite) counts as failed; it has no ${name} and is left out of S, mean and max.${diverged ? ` The worst-case mean takes it as the least ${name} there is.` : ""}`,
    `95 % intervals: of S from the share of runs that may fail and the spread of those that fail and those that do not, since a bootstrap covers too little where few runs fail${several ? "; for an arm of several checkpoints it is in the table of single checkpoints" : ""}; of the mean ${several ? "over seeds and checkpoints, both random, from the seeds of which no run diverged" : "Student's t"}; of the share of failures Wilson's${several ? ", which takes all runs as independent" : ""}. A cell without an interval says why: too few runs with ${one}, or all of them equal.`,
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
