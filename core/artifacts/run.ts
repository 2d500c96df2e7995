import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { FileError, readJson, writeJson } from "../io/files.ts"
import { ArrayFile, readArray, writeArray } from "./arrays.ts"
import type { ArtifactKind } from "./kind.ts"
import { isNoBetter, type MetricName, metricNames, type Score, score } from "./metrics.ts"
import type { Traits } from "./traits.ts"

/** The results of one fine-tuning run. Update u (from 0) had the loss `loss[u]` and used `learningRate[u]`. */
export interface Run {
  readonly seed: number
  readonly steps: number
  readonly warmupSteps: number
  /** [steps], mean loss of the batch before the update, with dropout */
  readonly loss: Float64Array
  /** [steps] */
  readonly learningRate: Float64Array
  /** [steps], global L2 norm of the gradient before clipping */
  readonly gradientNorm: Float64Array
  /** [dev examples], the class of the largest logit, or the score */
  readonly predictions: Float64Array
  /** [dev examples], classes or scores */
  readonly labels: Float64Array
  /** The task's metrics, at least one; by the first, the run is better than the baseline or has failed. */
  readonly metrics: readonly MetricName[]
  /** What the baseline predicts for every example: the majority class or the mean score of the train split. */
  readonly baseline: number
}

/** A run as a plugin gives it: optionally with the fine-tuned model, streamed into a folder of the artifact. */
export interface RunGiven extends Run {
  readonly saveModel?: (folder: string) => Effect.Effect<void, FileError>
}

/** A run as a plugin takes it. */
export interface RunTaken extends Run {
  /** The folder of the fine-tuned model in the Hugging Face layout; null if it was not saved. */
  readonly modelFolder: string | null
}

/** What is known of a run before it starts; probes, and what is made of its model, estimate their cost from it. */
export interface RunEstimate {
  readonly steps: number
  readonly warmupSteps: number
  readonly batchSize: number
  readonly tokensPerExample: number
  readonly parameters: number
  readonly layers: number
  readonly hidden: number
  readonly intermediate: number
  readonly heads: number
  readonly vocabularySize: number
  /** Tokens of the longest sequence that the model takes. */
  readonly positions: number
  /** Whether the fine-tuned model is kept with the run. */
  readonly keepsModel: boolean
  /** Of the model that it trains, before the first update. */
  readonly traits?: Traits
}

const RunFile = type({
  "+": "reject",
  seed: "number.integer >= 0",
  steps: "number.integer >= 0",
  warmupSteps: "number.integer >= 0",
  loss: ArrayFile,
  learningRate: ArrayFile,
  gradientNorm: ArrayFile,
  predictions: ArrayFile,
  labels: ArrayFile,
  metrics: type
    .enumerated(...metricNames)
    .array()
    .atLeastLength(1),
  baseline: "number",
  model: "boolean",
})

export const Run: ArtifactKind<"run", RunGiven, RunTaken, RunEstimate> = {
  name: "run",
  write: Effect.fnUntraced(function* (folder, { saveModel, ...run }) {
    if (saveModel !== undefined) yield* saveModel(join(folder, "model"))
    yield* writeJson(join(folder, "run.json"), {
      ...run,
      loss: yield* writeArray(folder, "loss", run.loss),
      learningRate: yield* writeArray(folder, "learning-rate", run.learningRate),
      gradientNorm: yield* writeArray(folder, "gradient-norm", run.gradientNorm),
      predictions: yield* writeArray(folder, "predictions", run.predictions),
      labels: yield* writeArray(folder, "labels", run.labels),
      model: saveModel !== undefined,
    })
  }),
  read: Effect.fnUntraced(function* (folder) {
    const { model, ...file } = yield* readJson(join(folder, "run.json"), RunFile)
    const run: RunTaken = {
      ...file,
      loss: yield* readArray(folder, file.loss, "f64"),
      learningRate: yield* readArray(folder, file.learningRate, "f64"),
      gradientNorm: yield* readArray(folder, file.gradientNorm, "f64"),
      predictions: yield* readArray(folder, file.predictions, "f64"),
      labels: yield* readArray(folder, file.labels, "f64"),
      modelFolder: model ? join(folder, "model") : null,
    }
    const lengths = [run.loss.length, run.learningRate.length, run.gradientNorm.length]
    if (run.predictions.length !== run.labels.length || lengths.some((length) => length !== run.steps)) {
      const found = `expected ${run.steps} losses, learning rates and gradient norms, found ${lengths.join(", ")}; expected ${run.labels.length} predictions, found ${run.predictions.length}`
      return yield* new FileError({ path: join(folder, "run.json"), doing: "read", found })
    }
    return run
  }),
}

/**
 * The run's metrics and those of the baseline, in the order of the task's metrics. An undefined correlation, that of
 * constant predictions, counts as 0.
 */
export const scoreOf = (run: Run): readonly Score[] => run.metrics.map((metric) => score(metric, run))

/**
 * Whether a run failed: by its task's first metric it is no better than the baseline. Counts are compared, not rounded
 * fractions: on RTE, 146 correct predictions of 277 are a failure and 147 are not.
 */
export const isFailure = (scores: readonly Score[]): boolean => isNoBetter(scores[0]!)
