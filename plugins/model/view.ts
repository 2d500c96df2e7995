import type * as tf from "@tensorflow/tfjs-core"
import type { Split } from "../../core/artifacts/examples.ts"
import type { Sequences } from "../../core/artifacts/sequences.ts"
import type { Gradients, ReadonlyParameters } from "../../core/tensor/parameters.ts"
import type { Stream } from "../../core/tensor/stream.ts"
import type { EncoderConfig } from "./config.ts"

/** Which gradients a probe wants. */
export interface GradientsWanted {
  readonly examples: Split
  /**
   * `batch`: the gradient of the mean loss, in the shape of the parameter. `sample`: the gradient of each example's own
   * loss, [N, …the parameter's shape], from one backward pass.
   */
  readonly per: "batch" | "sample"
  /** All by default. Per sample they take N times the memory of these parameters. */
  readonly parameters?: readonly string[]
}

/**
 * What a probe sees of a classifier during fine-tuning. The view is valid during one observation only; a probe writes
 * what it needs later to its scratch folder. It disposes of the tensors that it makes or is given (`tf.tidy` does so),
 * and draws random numbers from `stream`.
 *
 * A probe may read everything and can change nothing. After each observation the parameters and the splits are compared
 * with what they were. A probe that has changed one of them, which writing into the array of `dataSync` does on some
 * backends, fails, and the run is made again without it. One that leaves tensors behind fails too. Only what happens
 * after its observation has ended is not seen, such as a timer: a probe waits for all that it starts.
 *
 * ```ts
 * // The mean log-likelihood of 16 training examples, the same at every step and in every arm:
 * observe: ({ step, train, stream, lossOf }) => {
 *   const indices = permutation(stream, train.labels.length, 0).subarray(0, 16)
 *   const loss = tf.tidy(() => lossOf(selectExamples(train, indices)).dataSync()[0]!)
 *   return [{ step, logLikelihood: -loss }]
 * }
 * ```
 *
 * With `backwardThroughTap` of `core/tensor/tap.ts` around such a loss, one backward pass gives the inputs and the
 * output gradients of every layer.
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
  readonly config: EncoderConfig
  /** All trained parameters, in the model's order, under Hugging Face's names. */
  readonly parameters: ReadonlyParameters
  /** The names of the parameters by block: `embeddings`, `layer.0`, …, `pooler`, `classifier`. */
  readonly blocks: ReadonlyMap<string, readonly string[]>
  /**
   * The classifier's logits without dropout, [N, classes]; differentiable under a tape or a tap.
   * The caller disposes of the tensor.
   */
  readonly logits: (batch: Sequences) => tf.Tensor2D
  /** What the run predicts from the logits of an example: a class's index, or a score. */
  readonly predictionOf: (logits_C: Float32Array) => number
  /**
   * The run's own objective without dropout: its mean over the examples; differentiable under a tape or a tap.
   * The caller disposes of the tensor.
   */
  readonly lossOf: (examples: Split) => tf.Scalar
  /**
   * The gradients of the run's own objective, without dropout, by parameter. The caller disposes of them.
   *
   * @throws RangeError if there is no parameter of a wanted name, or no example
   */
  readonly gradients: (wanted: GradientsWanted) => Gradients
  /**
   * The hidden states of all tokens after `depth` layers, [ΣT, H], without dropout. Depth 0 is the output of the
   * embeddings, depth 1 that of layer 0, depth `config.layers` that of the last layer: Hugging Face's
   * `hidden_states[depth]`. Differentiable; the caller disposes of the tensor.
   *
   * @throws RangeError for another depth
   */
  readonly hidden: (batch: Sequences, depth: number) => tf.Tensor2D
  /**
   * The attention probabilities of a layer (from 0), without dropout: for each sequence of T tokens [heads, T, T], in
   * whose rows are the queries. The caller disposes of the tensors.
   *
   * @throws RangeError if there is no such layer
   */
  readonly attention: (batch: Sequences, layer: number) => readonly tf.Tensor3D[]
  readonly train: Split
  readonly dev: Split
  /** The run's seed. */
  readonly seed: number
  /** Random numbers for probes, independent of those that the run draws; the same in every arm with this seed. */
  readonly stream: Stream
}
