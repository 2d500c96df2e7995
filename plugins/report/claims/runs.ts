import type { CohortTaken, Labels } from "../../../core/api/plugin.ts"
import { type Run, scoreOf } from "../../../core/artifacts/run.ts"
import { shortNumber } from "../../../core/io/format.ts"
import type { RunEvidence } from "../shared/claims/claim.ts"
import { evidenceOf } from "../shared/claims/evidence.ts"
import { type Field, type Records, rounded } from "../shared/records.ts"
import { COVERAGE } from "../shared/statistics/interval.ts"
import { mean, standardDeviation } from "../shared/statistics/moments.ts"
import { wilson } from "../shared/statistics/proportion.ts"
import { left, right, type Table } from "../shared/table.ts"

type Runs = readonly CohortTaken<Run>[]

/** Every run, with the labels of its cohort as columns. */
export const runRecords = (runs: Runs): Records => {
  const names = labelNames(runs)
  return {
    columns: [...names, "seed", "status", "value", "baseline", "failed"],
    rows: evidenceOf(runs, []).runs.map(({ labels, seed, status, value, baseline, failed }) => [
      ...names.map((name) => labels[name] ?? null),
      ...[seed, status, rounded(value), rounded(baseline), failed],
    ]),
  }
}

/** Each cohort of runs in a row; null without runs. */
export const cohortsTable = (runs: Runs): Table | null => {
  if (runs.length === 0) return null
  const names = labelNames(runs)
  const metrics = new Set(
    runs.flatMap(({ members }) =>
      members.flatMap(({ outcome }) =>
        outcome.status === "done" ? [scoreOf(outcome.value)[0]!.metric] : [],
      ),
    ),
  )
  const cohorts = runs.map((cohort) => ({
    labels: cohort.labels,
    ...summary(evidenceOf([cohort], []).runs),
  }))
  const number = (value: number | null) => (value === null ? "none" : value.toFixed(1))
  return {
    name: "cohorts",
    title: `Runs by cohort${metrics.size === 1 ? ` (${[...metrics][0]}, × 100)` : ""}`,
    columns: [
      ...names.map((name) => left(name)),
      ...[right("runs"), right("mean"), right("S"), right("failures"), right("failures, 95\u00a0%")],
    ],
    rows: cohorts.map(({ labels, ended, mean, deviation, failures, share }) => [
      ...names.map((name) => labelText(labels, name)),
      ...[String(ended), number(mean), number(deviation), `${failures} of ${ended}`],
      share === null
        ? "no run"
        : `${(100 * share.low).toFixed(0)} to ${(100 * share.high).toFixed(0)}\u00a0%`,
    ]),
    notes: [
      "Mean and S, the standard deviation with ddof 0, over the runs that did not diverge. A run fails if it is no better than the baseline that always predicts the same, or diverges; the interval of the share of failures is Wilson's.",
    ],
    data: {
      columns: [...names, "runs", "mean", "s_ddof0", "failures", "failures_low", "failures_high"],
      rows: cohorts.map(({ labels, ended, mean, deviation, failures, share }) => [
        ...names.map((name): Field => labels[name] ?? null),
        ...[ended, rounded(mean), rounded(deviation), failures],
        ...[share?.low ?? null, share?.high ?? null].map(rounded),
      ]),
    },
  }
}

const labelNames = (runs: Runs): readonly string[] => [
  ...new Set(runs.flatMap(({ labels }) => Object.keys(labels))),
]

const labelText = (labels: Labels, name: string): string => {
  const value = labels[name]
  return typeof value === "number" ? shortNumber(value) : (value ?? "")
}

const summary = (runs: readonly RunEvidence[]) => {
  const ended = runs.filter(({ status }) => status !== "failed").length
  const failures = runs.filter(({ failed }) => failed === true).length
  const values = runs
    .toSorted((a, b) => a.seed - b.seed)
    .flatMap(({ value }) => (value === null ? [] : [value]))
  return {
    ended,
    failures,
    mean: values.length === 0 ? null : mean(values),
    deviation: values.length < 2 ? null : standardDeviation(values, 0),
    share: ended === 0 ? null : wilson(failures, ended, COVERAGE),
  }
}
