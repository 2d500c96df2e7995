/** The examples that a probe observes, and what their gradients are of: the log-likelihood of the model's output. */
import * as tf from "@tensorflow/tfjs-core"
import { selectExamples } from "../../../core/artifacts/examples.ts"
import type { Sequences } from "../../../core/artifacts/sequences.ts"
import { softmaxCrossEntropy } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import { permutation } from "../../../core/tensor/stream.ts"
import type { ClassifierView } from "../../model/view.ts"

export interface Labelled {
  readonly sequences: Sequences
  /** [N], classes by their indices, or scores */
  readonly labels: Int32Array | Float32Array
}

/** N training examples that the seed draws without replacement: the same at every step and in every arm. */
export const drawBatch = ({ config, train, stream }: ClassifierView, samples: number): Labelled => {
  const indices = permutation(stream, train.labels.length, 0).subarray(0, samples)
  const { sequences, labels } = selectExamples(train, indices)
  // A model of classes has an output for each.
  const isScore = config.labels.length === 1
  return { sequences, labels: isScore ? Float32Array.from(labels) : Int32Array.from(labels) }
}

/** Why no such batch can be drawn, if so. */
export const batchProblem = ({ train }: ClassifierView, samples: number): string | undefined =>
  samples > train.labels.length
    ? `samples: expected at most ${train.labels.length}, the number of training examples, found ${samples}`
    : undefined

/**
 * Log-likelihoods are summed, not averaged, so that gᵢ flows back through sample i unscaled. Without dropout, samples
 * do not affect each other. That of a score is the logarithm of a normal distribution around the model's output with
 * variance 1, apart from its constant (Kunstner, Hennig and Balles 2019, section 2).
 */
export const logLikelihood = (logits_NC: tf.Tensor2D, labels: Labelled["labels"]): tf.Scalar =>
  labels instanceof Int32Array
    ? tf.mul(softmaxCrossEntropy(logits_NC, labels), -labels.length)
    : tf.mul(tf.sum(tf.squaredDifference(logits_NC, tf.tensor2d(labels, logits_NC.shape))), -0.5)
