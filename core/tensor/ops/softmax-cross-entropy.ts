import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { defineKernel } from "../kernel.ts"

/** Mean over N rows of −log softmax(logits)[label], and its gradient with respect to the logits. */
export const softmaxCrossEntropyKernel = defineKernel(
  "softmaxCrossEntropy",
  (
    logits_NC: tf.Tensor2D,
    labels_N: Int32Array,
  ): { readonly loss: tf.Scalar; readonly dLogits_NC: tf.Tensor2D } => {
    const [count, classes] = logits_NC.shape
    // tf.oneHot rejects a single class.
    const target_NC = tf
      .equal(tf.tensor2d(labels_N, [count, 1], "int32"), tf.range(0, classes, 1, "int32"))
      .toFloat()
    const shifted_NC = tf.sub(logits_NC, tf.max(logits_NC, 1, true))
    const exponentials_NC = tf.exp(shifted_NC)
    const sums_N1 = tf.sum(exponentials_NC, 1, true)
    const chosen_N1 = tf.sum(tf.mul(shifted_NC, target_NC), 1, true)
    const loss: tf.Scalar = tf.mean(tf.sub(tf.log(sums_N1), chosen_N1))
    const excess_NC = tf.sub(tf.div(exponentials_NC, sums_N1), target_NC)
    return { loss, dLogits_NC: tf.div(excess_NC, count) }
  },
)

/**
 * The mean over N rows of −log softmax(logits)[label].
 *
 * @throws RangeError for a label that is not a class, for another number of labels than rows, or if there are no rows
 *   (their mean would be NaN)
 */
export const softmaxCrossEntropy = (logits_NC: tf.Tensor2D, labels_N: Int32Array): tf.Scalar => {
  const [count, classes] = logits_NC.shape
  if (count === 0 || labels_N.length !== count) {
    throw new RangeError(
      `expected a label for each row of logits and at least one row, found ${labels_N.length} labels and ${count} rows`,
    )
  }
  for (const label of labels_N) {
    if (label < 0 || label >= classes) {
      throw new RangeError(`expected labels from 0 to ${classes - 1}, found ${label}`)
    }
  }
  return differentiable(
    [logits_NC],
    (given) => {
      const { loss, dLogits_NC } = softmaxCrossEntropyKernel(given(logits_NC), labels_N)
      return { y: loss, saved: { dLogits_NC } }
    },
    (dy, { dLogits_NC }) => [tf.mul(dLogits_NC, dy)],
  )
}
