import { quotient } from "../../../core/artifacts/metrics/ratio.ts"
import { isFailure, type Run, scoreOf } from "../../../core/artifacts/run.ts"
import { plural } from "../../../core/io/format.ts"
import { left, right, type Table } from "../shared/table.ts"
import { doneRuns, type NamedRun } from "./runs.ts"

/** Hundredths with one decimal, as GLUE gives accuracies and correlations. */
const hundredths = (ratio: Parameters<typeof quotient>[0]): string => (100 * quotient(ratio)).toFixed(1)

/** What was found, a sentence for each run, and how far the runs are one and the same. */
export const headline = (runs: readonly NamedRun[]): readonly string[] => [
  ...runs.map(({ name, outcome }) => {
    if (outcome.status !== "done") {
      const where = outcome.step === undefined ? "" : ` at step ${outcome.step}`
      return `${name}: ${outcome.status}${where} (${outcome.reason}).`
    }
    const scores = scoreOf(outcome.value)
    const list = scores.map(({ metric, value }) => `${metric} ${hundredths(value)}`)
    const than = `${isFailure(scores) ? "no better than" : "better than"} the baseline's ${hundredths(scores[0]!.baseline)}`
    return `${name}: ${list.join(", ")} after ${plural(outcome.value.steps, "update")}, ${than}.`
  }),
  ...sharedSentences(runs),
]

const sharedSentences = (runs: readonly NamedRun[]): readonly string[] => {
  const done = doneRuns(runs)
  const bySeed = [...Map.groupBy(done, ({ seed }) => seed).values()].filter(({ length }) => length > 1)
  if (bySeed.length === 0) return []
  const shared = Math.min(...bySeed.map((same) => sharedUpdates(same.map(({ run }) => run))))
  const whose = bySeed.length > 1 ? "runs with the same seed" : "all runs"
  if (shared === 0) return ["The runs differ from the first update on."]
  return [
    shared === 1
      ? `The first update of ${whose} is the same to the bit: loss, gradient norm and learning rate.`
      : `The first ${shared} updates of ${whose} are the same to the bit: losses, gradient norms and learning rates.`,
  ]
}

/** How many updates from the start are the same in all runs, to the bit. */
export const sharedUpdates = (runs: readonly Run[]): number => {
  const [first, ...others] = runs
  const length = Math.min(...runs.map(({ steps }) => steps))
  const same = (update: number) =>
    (["loss", "gradientNorm", "learningRate"] as const).every((part) =>
      others.every((other) => Object.is(other[part][update], first![part][update])),
    )
  for (let update = 0; update < length; update++) if (!same(update)) return update
  return length
}

/** A row for each run. */
export const resultsTable = (runs: readonly NamedRun[]): Table => {
  const metrics = [...new Set(doneRuns(runs).flatMap(({ run }) => scoreOf(run).map(({ metric }) => metric)))]
  const entries = runs.map(({ name, seed, outcome }) => {
    if (outcome.status !== "done") {
      const { status, step = null } = outcome
      const word = status === "diverged" ? status : "no result"
      return { name, seed, status: word, steps: step, scores: [], baseline: null, loss: null, norm: null }
    }
    const run = outcome.value
    const scores = scoreOf(run)
    return {
      ...{ name, seed, steps: run.steps, scores, baseline: scores[0]!.baseline },
      status: isFailure(scores) ? "failed" : "learned",
      loss: run.loss.at(-1) ?? null,
      norm: run.gradientNorm.reduce((most, norm) => Math.max(most, norm), 0),
    }
  })
  const metricValue = ({ scores }: (typeof entries)[number], wanted: string) =>
    scores.find(({ metric }) => metric === wanted)?.value
  return {
    name: "results",
    title: "Results on the dev split",
    columns: [
      left("run"),
      left("outcome"),
      right("updates"),
      ...metrics.map(right),
      right("baseline"),
      right("last loss"),
      right("largest gradient norm"),
    ],
    rows: entries.map((entry) => [
      entry.name,
      entry.status,
      `${entry.steps ?? ""}`,
      ...metrics.map((metric) => {
        const value = metricValue(entry, metric)
        return value === undefined ? "" : hundredths(value)
      }),
      entry.baseline === null ? "" : hundredths(entry.baseline),
      entry.loss === null ? "" : entry.loss.toPrecision(4),
      entry.norm === null ? "" : entry.norm.toPrecision(4),
    ]),
    notes: [
      "Metrics are multiplied by 100. A run has failed if by the first metric it is no better than a baseline that always predicts the same.",
      "The last loss is that of the last update's batch, with dropout. Of a run that diverged only the step is kept.",
    ],
    data: {
      columns: [
        ...["run", "seed", "outcome", "updates"],
        ...metrics,
        ...["baseline", "last_loss", "largest_gradient_norm"],
      ],
      rows: entries.map((entry) => [
        ...[entry.name, entry.seed, entry.status, entry.steps],
        ...metrics.map((metric) => {
          const value = metricValue(entry, metric)
          return value === undefined ? null : quotient(value)
        }),
        entry.baseline === null ? null : quotient(entry.baseline),
        entry.loss,
        entry.norm,
      ]),
    },
  }
}
