import type * as tf from "@tensorflow/tfjs-core"
import type { Split } from "../../core/artifacts/examples.ts"
import type { Sequences } from "../../core/artifacts/sequences.ts"
import type { Parameters } from "../../core/tensor/parameters.ts"
import type { Stream } from "../../core/tensor/stream.ts"
import type { BertConfig } from "./config.ts"

/**
 * What a probe sees of a classifier during fine-tuning. The view is valid during one observation only; a probe writes
 * what it needs later to its scratch folder.
 *
 * A probe may read everything and must change nothing: it does not replace or dispose of parameters, it disposes of
 * the tensors that it creates (`tf.tidy`), and it draws random numbers from `stream`. Nothing enforces this: on some
 * backends, writing into the array that `dataSync` gives changes a parameter.
 *
 * ```ts
 * // The mean log-likelihood of 16 training examples, the same at every step and in every arm:
 * observe: (view) => {
 *   const indices = permutation(view.stream, view.train.labels.length, 0).subarray(0, 16)
 *   const labels = Int32Array.from(indices, (index) => view.train.labels[index]!)
 *   const loss = tf.tidy(() =>
 *     softmaxCrossEntropy(view.logits(selectSequences(view.train.sequences, indices)), labels).dataSync()[0]!,
 *   )
 *   return [{ step: view.step, logLikelihood: -loss }]
 * }
 * ```
 *
 * With `backwardThroughTap` of `core/tensor/tap.ts` around such a loss, one backward pass gives the inputs and the
 * output gradients of every layer, from which per-sample gradients follow.
 */
export interface ClassifierView {
  /** Updates done: 0 before the first. */
  readonly step: number
  readonly steps: number
  readonly warmupSteps: number
  /** Training loss of the latest update, with dropout, computed before the update is applied; null at step 0. */
  readonly loss: number | null
  /** Learning rate of the latest update; null at step 0. */
  readonly learningRate: number | null
  readonly config: BertConfig
  /** All trained parameters, in the model's order, under Hugging Face's names. */
  readonly parameters: Parameters
  /** The names of the parameters by block: `embeddings`, `layer.0`, …, `pooler`, `classifier`. */
  readonly blocks: ReadonlyMap<string, readonly string[]>
  /**
   * The classifier's logits without dropout, [N, classes]; differentiable under a tape or a tap.
   * The caller disposes of the tensor.
   */
  readonly logits: (batch: Sequences) => tf.Tensor2D
  /** The train split. */
  readonly train: Split
  /** The run's seed. */
  readonly seed: number
  /** Random numbers for probes, independent of those that the run draws; the same in every arm with this seed. */
  readonly stream: Stream
}
