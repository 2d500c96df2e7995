import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { log } from "../../core/tensor/elementary.ts"
import { cosines, leaveOut, unitRows } from "./shared/contrastive/cosines.ts"
import { contrastiveOptions } from "./shared/contrastive/options.ts"
import { contrastiveTraining } from "./shared/contrastive-training.ts"

/** log of the mean of exp(−t ‖xᵢ − xⱼ‖²) over all i ≠ j, for x of length 1: ‖xᵢ − xⱼ‖² = 2 − 2 cos. */
const uniformityOf = (x_NH: tf.Tensor2D, t: number): tf.Scalar => {
  const count = x_NH.shape[0]
  const exponents_NN: tf.Tensor2D = tf.mul(tf.sub(cosines(x_NH), 1), 2 * t)
  const others_NN = leaveOut(exponents_NN, tf.eye(count))
  return tf.sub(tf.logSumExp(others_NN), log(count * (count - 1)))
}

/**
 * Alignment and uniformity on the unit sphere (Wang and Isola 2020, section 4, and their code). Two views x, y of a
 * sentence are drawn together, by the mean of ‖x − y‖^α, and different sentences are spread, by the logarithm of the
 * mean of exp(−t ‖xᵢ − xⱼ‖²), taken within each view and averaged over the two. If one weight is 0, the other part is
 * trained alone.
 */
export const alignmentUniformity = contrastiveTraining({
  name: "alignment-uniformity",
  module: import.meta.url,
  summary: "Further training for alignment and uniformity of sentence embeddings, or one of the two",
  options: type({
    "+": "reject",
    ...contrastiveOptions,
    /** The weight of alignment. */
    alignment: "number >= 0 = 1",
    /** The weight of uniformity. */
    uniformity: "number >= 0 = 1",
    /** α, the exponent of the distance in alignment. */
    alpha: "1 <= number <= 100 = 2",
    /** t, by which squared distances are multiplied in uniformity: the higher, the more near neighbours count. */
    t: "0 < number <= 100 = 2",
  }).narrow(
    ({ alignment, uniformity }, context) =>
      alignment + uniformity > 0 || context.mustBe("given a weight above 0 for alignment or uniformity"),
  ),
  loss: ({ first_NH, second_NH }, { alignment, uniformity, alpha, t }) => {
    const squared_N = tf.sum(tf.squaredDifference(unitRows(first_NH), unitRows(second_NH)), 1)
    // Equal views have no gradient: with α < 2 the derivative of a power at 0 would be infinite.
    const aligned = tf.mean(tf.pow(tf.maximum(squared_N, 1e-12), alpha / 2))
    const spread = tf.add(uniformityOf(first_NH, t), uniformityOf(second_NH, t))
    return tf.add(tf.mul(aligned, alignment), tf.mul(spread, uniformity / 2))
  },
})
