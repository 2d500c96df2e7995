/** The examples that a probe observes, and what their gradients are of: the log-likelihood of the model's output. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { UnitFailure } from "../../../core/api/failure.ts"
import type { Sequences } from "../../../core/artifacts/sequences.ts"
import { softmaxCrossEntropy } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import type { ClassifierView } from "../../model/view.ts"
import { drawSamples } from "./samples.ts"

export interface Labelled {
  readonly sequences: Sequences
  /** [N], classes by their indices, or scores */
  readonly labels: Int32Array | Float32Array
}

/** The training examples of `drawSamples`, with labels as the model of the run learns them. */
export const drawLabelled = (
  view: Pick<ClassifierView, "config" | "train" | "stream" | "step">,
  samples: number,
): Effect.Effect<Labelled, UnitFailure> =>
  Effect.map(drawSamples(view, samples), ({ sequences, labels }) => {
    // A model of classes has an output for each.
    const isScore = view.config.labels.length === 1
    return { sequences, labels: isScore ? Float32Array.from(labels) : Int32Array.from(labels) }
  })

/**
 * Log-likelihoods are summed, not averaged, so that gᵢ flows back through sample i unscaled. Without dropout, samples
 * do not affect each other. That of a score is the logarithm of a normal distribution around the model's output with
 * variance 1, apart from its constant (Kunstner, Hennig and Balles 2019, section 2).
 */
export const logLikelihood = (logits_NC: tf.Tensor2D, labels: Labelled["labels"]): tf.Scalar =>
  labels instanceof Int32Array
    ? tf.mul(softmaxCrossEntropy(logits_NC, labels), -labels.length)
    : tf.mul(tf.sum(tf.squaredDifference(logits_NC, tf.tensor2d(labels, logits_NC.shape))), -0.5)
