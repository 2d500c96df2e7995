import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { FileError, readJson, writeJson } from "../io/files.ts"
import { ArrayFile, readArray, writeArray } from "./arrays.ts"
import type { ArtifactKind } from "./kind.ts"

/** The results of one fine-tuning run. Update u (from 0) had the loss `loss[u]` and used `learningRate[u]`. */
export interface Run {
  readonly seed: number
  readonly steps: number
  readonly warmupSteps: number
  /** [steps], mean cross-entropy of the batch before the update, with dropout */
  readonly loss: Float64Array
  /** [steps] */
  readonly learningRate: Float64Array
  /** [steps], global L2 norm of the gradient before clipping */
  readonly gradientNorm: Float64Array
  /** [dev examples], the class of the largest logit */
  readonly predictions: Int32Array
  /** [dev examples] */
  readonly labels: Int32Array
  /** The most frequent label of the train split, which the majority baseline always predicts. */
  readonly majorityLabel: number
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

/** What is known of a run before it starts; probes estimate their cost from it. */
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
  majorityLabel: "number.integer >= 0",
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
      predictions: yield* readArray(folder, file.predictions, "i32"),
      labels: yield* readArray(folder, file.labels, "i32"),
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

/** How many dev examples were classified correctly: integers, so that they compare exactly. */
export interface Score {
  /** By the run. */
  readonly correct: number
  /** By the majority baseline (146 of 277 on RTE). */
  readonly majority: number
  readonly total: number
}

export const scoreOf = ({ predictions, labels, majorityLabel }: Run): Score => ({
  correct: predictions.reduce((count, prediction, i) => count + (prediction === labels[i] ? 1 : 0), 0),
  majority: labels.reduce((count, label) => count + (label === majorityLabel ? 1 : 0), 0),
  total: labels.length,
})

/**
 * Whether a run failed: it classified no more dev examples correctly than the majority baseline. Counts are compared,
 * not fractions: on RTE, 146 of 277 is a failure and 147 is not.
 */
export const isFailure = ({ correct, majority }: Score): boolean => correct <= majority
