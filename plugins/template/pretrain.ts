import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { contrastiveOptions } from "../pretrain/shared/contrastive/options.ts"
import { contrastiveTraining } from "../pretrain/shared/contrastive-training.ts"

/** Rows of length 1. */
const normalise = (x_NH: tf.Tensor2D): tf.Tensor2D =>
  tf.div(x_NH, tf.sqrt(tf.add(tf.sum(tf.square(x_NH), 1, true), 1e-12)))

/**
 * Alignment and uniformity (Wang and Isola 2020, section 4): two views x, y of a sentence, of length 1, are drawn
 * together, ‖x − y‖², and different sentences are spread over the sphere, log mean exp(−2 ‖xᵢ − xⱼ‖²) over i ≠ j.
 */
export const templatePretrain = contrastiveTraining({
  name: "template-pretrain",
  module: import.meta.url,
  summary: "Further training for alignment and uniformity of sentence embeddings",
  options: type({
    "+": "reject",
    ...contrastiveOptions,
    /** What uniformity counts beside alignment. */
    uniformity: "number >= 0 = 1",
  }),
  loss: ({ first_NH, second_NH }, { uniformity }) => {
    const views = [normalise(first_NH), normalise(second_NH)] as const
    const alignment: tf.Scalar = tf.mean(tf.sum(tf.squaredDifference(...views), 1))
    const [spread, otherSpread] = views.map((x_NH): tf.Scalar => {
      const count = x_NH.shape[0]
      // ‖xᵢ − xⱼ‖² = 2 − 2 xᵢ · xⱼ; each of the N terms i = j is exp(0).
      const kernel_NN = tf.exp(tf.sub(tf.mul(tf.matMul(x_NH, x_NH, false, true), 4), 4))
      return tf.log(tf.div(tf.sub(tf.sum(kernel_NN), count), count * (count - 1)))
    })
    return tf.add(alignment, tf.mul(tf.add(spread!, otherSpread!), uniformity / 2))
  },
})
