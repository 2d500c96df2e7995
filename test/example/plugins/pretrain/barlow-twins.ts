import { tf, type } from "kasosei"
import { contrastiveOptions } from "kasosei/plugins/pretrain/shared/contrastive/options"
import { contrastiveTraining } from "kasosei/plugins/pretrain/shared/contrastive-training"

/** Each column with mean 0 and variance 1 over the batch. */
const standardise = (x_NP: tf.Tensor2D): tf.Tensor2D => {
  const { mean, variance } = tf.moments(x_NP, 0)
  return tf.div(tf.sub(x_NP, mean), tf.sqrt(tf.add(variance, 1e-5)))
}

/**
 * Barlow Twins (Zbontar et al. 2021, equation 1): the cross-correlation C of two views' P projected features over the
 * batch shall be the identity: Σ (1 − Cᵢᵢ)² + λ Σ Cᵢⱼ² over i ≠ j.
 */
export const barlowTwins = contrastiveTraining({
  name: "barlow-twins",
  module: import.meta.url,
  summary: "Barlow Twins: further training that reduces redundancy between features",
  options: type({
    "+": "reject",
    ...contrastiveOptions,
    /** λ. */
    redundancy: "number > 0 = 0.005",
    /** P, the features of the projector, a linear layer. */
    projection: "1 <= number.integer <= 65536 = 1024",
  }),
  parameters: (hidden, { projection }) => ({ projector: [projection, hidden] }),
  loss: ({ first_NH, second_NH, parameter }, { redundancy }) => {
    const project = (x_NH: tf.Tensor2D) =>
      standardise(tf.matMul(x_NH, parameter<tf.Tensor2D>("projector"), false, true))
    const correlation_PP = tf.div(
      tf.matMul(project(first_NH), project(second_NH), true, false),
      first_NH.shape[0],
    )
    const identity_PP = tf.eye(correlation_PP.shape[0]!)
    const weight_PP = tf.add(tf.mul(identity_PP, 1 - redundancy), redundancy)
    return tf.sum(tf.mul(weight_PP, tf.square(tf.sub(correlation_PP, identity_PP))))
  },
})
