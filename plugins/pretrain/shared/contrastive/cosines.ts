import * as tf from "@tensorflow/tfjs-core"

/** Rows divided by their Euclidean norms; a norm below 1e-8 counts as 1e-8, as in PyTorch's cosine similarity. */
export const unitRows = (x_NH: tf.Tensor2D): tf.Tensor2D =>
  tf.div(x_NH, tf.sqrt(tf.maximum(tf.sum(tf.square(x_NH), 1, true), 1e-16)))

/** The cosines of all pairs of rows of one matrix, [N, N]. */
export const cosines = (x_NH: tf.Tensor2D): tf.Tensor2D => {
  const unit_NH = unitRows(x_NH)
  return tf.matMul(unit_NH, unit_NH, false, true)
}

/** The entries where `left` is 1 become so small that their exponential is 0, and those where it is 0 stay as they are. */
export const leaveOut = (logits_NN: tf.Tensor2D, left_NN: tf.Tensor2D): tf.Tensor2D =>
  tf.sub(logits_NN, tf.mul(left_NN, 1e9))
