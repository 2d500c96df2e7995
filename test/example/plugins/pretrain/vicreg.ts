import { tf, type } from "kasosei"
import { contrastiveOptions } from "kasosei/plugins/pretrain/shared/contrastive/options"
import { contrastiveTraining } from "kasosei/plugins/pretrain/shared/contrastive-training"

/** v and c of one view: the hinge on the standard deviation of each feature, and the squared covariances. */
const spread = (x_NP: tf.Tensor2D): { readonly hinge: tf.Scalar; readonly covariance: tf.Scalar } => {
  const [count, features] = x_NP.shape
  const centred_NP = tf.sub(x_NP, tf.mean(x_NP, 0))
  const covariance_PP = tf.div(tf.matMul(centred_NP, centred_NP, true, false), count - 1)
  const variance_P = tf.div(tf.sum(tf.square(centred_NP), 0), count - 1)
  const off_PP = tf.mul(covariance_PP, tf.sub(1, tf.eye(features)))
  return {
    hinge: tf.mean(tf.relu(tf.sub(1, tf.sqrt(tf.add(variance_P, 1e-4))))),
    covariance: tf.div(tf.sum(tf.square(off_PP)), features),
  }
}

/** VICReg (Bardes, Ponce and LeCun 2022, equation 6): invariance, variance and covariance of P projected features. */
export const vicreg = contrastiveTraining({
  name: "vicreg",
  module: import.meta.url,
  summary: "VICReg: further training by invariance, variance and covariance",
  options: type({
    "+": "reject",
    ...contrastiveOptions,
    invariance: "number >= 0 = 25",
    variance: "number >= 0 = 25",
    covariance: "number >= 0 = 1",
    /** P, the features of the projector, a linear layer. */
    projection: "2 <= number.integer <= 65536 = 1024",
  }),
  parameters: (hidden, { projection }) => ({ projector: [projection, hidden], bias: [projection] }),
  loss: ({ first_NH, second_NH, parameter }, options) => {
    const project = (x_NH: tf.Tensor2D): tf.Tensor2D =>
      tf.add(tf.matMul(x_NH, parameter<tf.Tensor2D>("projector"), false, true), parameter("bias"))
    const [x_NP, y_NP] = [project(first_NH), project(second_NH)]
    const distance = tf.mean(tf.sum(tf.squaredDifference(x_NP, y_NP), 1))
    const [x, y] = [spread(x_NP), spread(y_NP)]
    return tf
      .mul(distance, options.invariance)
      .add(tf.mul(tf.add(x.hinge, y.hinge), options.variance))
      .add(tf.mul(tf.add(x.covariance, y.covariance), options.covariance))
  },
})
