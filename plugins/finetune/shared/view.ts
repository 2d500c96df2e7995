import type * as tf from "@tensorflow/tfjs-core"
import type { Guard, RunLength } from "../../../core/api/watch.ts"
import type { Examples, Split } from "../../../core/artifacts/examples.ts"
import type { Sequences } from "../../../core/artifacts/sequences.ts"
import { guardOf } from "../../../core/tensor/guard.ts"
import { stream } from "../../../core/tensor/stream.ts"
import type { UpdateMetrics } from "../../../core/tensor/training.ts"
import type { TrainableModel } from "../../model/encoder.ts"
import { gradientsOf } from "../../model/gradients.ts"
import { attentionProbabilities, hiddenStates } from "../../model/inspect.ts"
import { blocksOf, type ParameterSpec } from "../../model/parameters.ts"
import type { ClassifierView } from "../../model/view.ts"

/** A fine-tuning run, as far as probes see it. */
export interface Viewed {
  readonly model: TrainableModel
  /** Those of the model's parameters. */
  readonly specs: readonly ParameterSpec[]
  readonly data: Pick<Examples, "train" | "dev">
  readonly length: RunLength
  readonly seed: number
  /** [N, classes], without dropout; differentiable. */
  readonly logits: (batch: Sequences) => tf.Tensor2D
  /** What is predicted from the logits of an example. */
  readonly predictionOf: (logits_C: Float32Array) => number
  /** The objective's mean over the examples, without dropout; differentiable. */
  readonly lossOf: (examples: Split) => tf.Scalar
}

/** What probes see of a run at any step, and what they must leave as it is. */
export const viewOf = ({
  model,
  specs,
  data: { train, dev },
  length,
  seed,
  logits,
  predictionOf,
  lossOf,
}: Viewed): {
  readonly guard: Guard
  /** @param last the metrics of the update that led to the step; undefined at step 0 */
  readonly at: (step: number, last: UpdateMetrics | undefined) => ClassifierView
} => {
  const { config } = model
  const parameters = model.parameters.readonly
  return {
    guard: guardOf({
      parameters: model.parameters,
      arrays: { ...arraysOf("train", train), ...arraysOf("dev", dev) },
    }),
    // What a probe does to an object that it is given here, no other probe sees, nor the run.
    at: (step, last) => ({
      step,
      ...length,
      loss: last?.loss ?? null,
      learningRate: last?.learningRate ?? null,
      config: { ...config, labels: [...config.labels] },
      parameters,
      blocks: blocksOf(specs),
      logits,
      predictionOf,
      lossOf,
      gradients: (wanted) => gradientsOf({ parameters, lossOf }, wanted),
      hidden: (batch, depth) => hiddenStates(model, batch, depth),
      attention: (batch, layer) => attentionProbabilities(model, batch, layer),
      train: copyOf(train),
      dev: copyOf(dev),
      seed,
      stream: stream(seed, "probe"),
    }),
  }
}

const copyOf = ({ sequences, labels }: Split): Split => ({ sequences: { ...sequences }, labels })

const arraysOf = (name: string, { sequences, labels }: Split): Record<string, ArrayBufferView> => ({
  [`the tokens of the ${name} split`]: sequences.ids,
  [`the segments of the ${name} split`]: sequences.tokenTypeIds,
  [`the lengths of the ${name} split`]: sequences.offsets,
  [`the labels of the ${name} split`]: labels,
})
