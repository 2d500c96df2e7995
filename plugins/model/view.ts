import type * as tf from "@tensorflow/tfjs-core"
import type { Split } from "../../core/artifacts/examples.ts"
import type { Sequences } from "../../core/artifacts/sequences.ts"
import type { Parameters } from "../../core/tensor/parameters.ts"
import type { Stream } from "../../core/tensor/stream.ts"
import type { BertConfig } from "./config.ts"

/**
 * What a probe sees of a classifier that is being fine-tuned. It is there during one observation only: what is needed later
 * goes into the probe's scratch folder.
 *
 * A probe may read everything and must change nothing: parameters are not replaced or disposed of, tensors that it
 * makes are freed (`tf.tidy`), random numbers come from `stream`. So no probe can change the run, nor another probe.
 *
 * ```ts
 * // The mean log-likelihood of 16 training examples, the same ones at every step and in every arm:
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
 * With `backwardThroughTap` of `core/tensor/tap.ts` around such a loss, one backward pass gives the inputs and output
 * gradients of every layer, from which per-sample gradients follow.
 */
export interface ClassifierView {
  /** The number of updates made: 0 before the first one. */
  readonly step: number
  readonly totalSteps: number
  readonly warmupSteps: number
  /** Of the update that led here, with dropout, before that update; null at step 0. */
  readonly loss: number | null
  /** Of the update that led here; null at step 0. */
  readonly learningRate: number | null
  readonly config: BertConfig
  /** All that is trained, in the model's order, under Hugging Face's names. */
  readonly parameters: Parameters
  /** The names of the parameters by block: `embeddings`, `layer.0`, …, `pooler`, `classifier`. */
  readonly blocks: ReadonlyMap<string, readonly string[]>
  /**
   * The classifier's logits without dropout, [N, classes]. Under a tape or a tap it can be differentiated.
   * The tensor is the caller's to free.
   */
  readonly logits: (batch: Sequences) => tf.Tensor2D
  /** The split that the run is trained on. */
  readonly train: Split
  /** The run's seed. */
  readonly seed: number
  /** Random numbers for probes, apart from all that the run itself draws: the same in every arm of the same seed. */
  readonly stream: Stream
}
