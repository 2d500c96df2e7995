import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { optional } from "../../core/api/plugin.ts"
import { type ObserveContext, probe } from "../../core/api/probe.ts"
import { Checkpoint } from "../../core/artifacts/checkpoint.ts"
import { baselineOf, Examples } from "../../core/artifacts/examples.ts"
import { quotient } from "../../core/artifacts/metrics/ratio.ts"
import { metricNames, score } from "../../core/artifacts/metrics.ts"
import { observationsOf } from "../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../core/artifacts/run.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { classifierProblems, sequenceProblems } from "../model/compatibility.ts"
import { activationBytes, forwardCalls, forwardFlops, workloadOf } from "../model/cost.ts"
import { predictAll, predictionBatch, predictionFrom } from "../model/predict.ts"
import type { ClassifierView } from "../model/view.ts"
import { loadHead } from "./evaluate/head.ts"
import { chooseSteps, Steps } from "./shared/steps.ts"

const Options = type({
  "+": "reject",
  /** When to evaluate: by default the model after the last update. */
  steps: Steps.default(() => ({ at: [], last: true })),
  /** Which split of the data the model is asked. */
  split: "'dev' | 'train' = 'dev'",
})
type Options = typeof Options.infer

const takes = { data: Examples, head: optional(Checkpoint) }

const EvaluateRow = type({
  "+": "reject",
  step: "number.integer >= 0",
  split: "'dev' | 'train'",
  metric: type.enumerated(...metricNames),
  value: "number",
  baseline: "number",
  examples: "number.integer > 0",
})
/**
 * A metric of the model on a split of the data after `step` updates, and that of a baseline which always predicts the
 * majority class or the mean score of the data's train split. An undefined correlation counts as 0.
 */
export type EvaluateRow = typeof EvaluateRow.infer

const refuse = (problems: readonly string[]) => new InvalidInput({ what: "evaluate", problems })

const observe = Effect.fn("evaluate")(function* (
  view: ClassifierView,
  { options, inputs }: ObserveContext<Options, typeof takes>,
) {
  const { data, head } = inputs
  const { split } = options
  const { sequences, labels } = data[split]
  const problems = sequenceProblems(`the ${split} split of data`, sequences, data.vocabularySize, {
    ...view.config,
    vocabularyFrom: "that of the run's checkpoint",
    positionsFrom: "those of the run's checkpoint",
  })
  if (problems.length > 0) return yield* refuse(problems)
  const asked =
    head === undefined
      ? { logits: view.logits, outputs: view.config.labels }
      : yield* loadHead(head.folder, view)
  const unanswered = classifierProblems(
    head === undefined ? "the run's classifier" : "the classifier of head",
    asked.outputs,
    data.labelNames,
    "give a head that was fine-tuned for these labels: evaluate({ …, head: modelOf(run) })",
  )
  if (unanswered.length > 0) return yield* refuse(unanswered)
  const predictionOf =
    head === undefined ? view.predictionOf : predictionFrom[data.labelNames === null ? "scores" : "classes"]
  const predictions = yield* predictAll(asked.logits, predictionOf, sequences, view.step)
  const given = { predictions, labels, baseline: baselineOf(data) }
  return data.metrics.map((metric): EvaluateRow => {
    const { value, baseline } = score(metric, given)
    return {
      step: view.step,
      split,
      metric,
      value: quotient(value),
      baseline: quotient(baseline),
      examples: labels.length,
    }
  })
}, Effect.scoped)

const rowBytes = 110

/**
 * Scores a run's model on other data, by the data's own metrics: what it knows of them at any step of its training.
 *
 * After fine-tuning on A and then on B, `evaluate({ run: second, data: a, head: modelOf(first) })` asks A again: with
 * `head`, the classifier is that checkpoint's, and the encoder (in BERT with the pooler) that of the run. Without it,
 * the run's own classifier answers, which must have the data's labels.
 */
export const evaluate = probe<ClassifierView, RunEstimate>()({
  name: "evaluate",
  version: 1,
  module: import.meta.url,
  summary: "Metrics of the model on other data, by its own classifier or that of another checkpoint",
  options: Options,
  takes,
  gives: observationsOf<EvaluateRow>(EvaluateRow),
  steps: ({ steps }, run) => chooseSteps(steps, run),
  observe,
  estimate: ({ steps, split }, run, { data, head }) => {
    if (head !== undefined && head.hidden !== run.hidden) {
      throw refuse([`head must have the hidden size of the run's model, ${run.hidden} (was ${head.hidden})`])
    }
    const observations = chooseSteps(steps, run).length
    const rows = observations * data.metrics.length
    const { tokensPerExample } = data
    const pass = forwardFlops(run, ["pooler", "classifier"], workloadOf(data[split], tokensPerExample))
    return {
      rows,
      cost: cost({
        flops: observations * pass,
        calls: observations * Math.ceil(data[split] / predictionBatch) * forwardCalls(run),
        // Beside the run's parameters one layer's activations, and two int32 per token of both splits.
        memory:
          activationBytes({ ...run, layers: 1 }, workloadOf(predictionBatch, tokensPerExample)) +
          8 * tokensPerExample * (data.train + data.dev),
        disk: rowBytes * rows,
      }),
    }
  },
})
