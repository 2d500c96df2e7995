import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { softmaxCrossEntropy } from "./softmax-cross-entropy.ts"
import { transpose } from "./transpose.ts"

/** The norm below which a vector is divided by this instead, as in PyTorch's cosine similarity. */
const smallestNorm = 1e-8

/** Rows divided by their Euclidean norms. */
const normaliseRows = (x_ND: tf.Tensor2D): tf.Tensor2D =>
  differentiable(
    [x_ND],
    () => {
      const norm_N1 = tf.maximum(tf.sqrt(tf.sum(tf.square(x_ND), 1, true)), smallestNorm)
      const unit_ND: tf.Tensor2D = tf.div(x_ND, norm_N1)
      return { y: unit_ND, saved: { unit_ND, norm_N1 } }
    },
    (dy_ND, { unit_ND, norm_N1 }) => {
      const along_N1 = tf.sum(tf.mul(dy_ND, unit_ND), 1, true)
      return [tf.div(tf.sub(dy_ND, tf.mul(unit_ND, along_N1)), norm_N1)]
    },
  )

/** All dot products of rows: a bᵀ. */
const productsOfRows = (a_ND: tf.Tensor2D, b_MD: tf.Tensor2D): tf.Tensor2D =>
  differentiable(
    [a_ND, b_MD],
    () => ({ y: tf.matMul(a_ND, transpose(b_MD)), saved: { a_ND, b_MD } }),
    (dy_NM, { a_ND, b_MD }) => [tf.matMul(dy_NM, b_MD), tf.matMul(transpose(dy_NM), a_ND)],
  )

/**
 * InfoNCE in one direction, as SimCSE uses it (Gao, Yao and Chen 2021, equation 1): the mean over i of
 * −log softmax_j(cos(z1ᵢ, z2ⱼ) / τ)[i].
 *
 * @param tau temperature, > 0
 */
export const infoNCE = (z1_ND: tf.Tensor2D, z2_ND: tf.Tensor2D, tau: number): tf.Scalar => {
  const similarities_NN = productsOfRows(normaliseRows(z1_ND), normaliseRows(z2_ND))
  const diagonal = Int32Array.from({ length: z1_ND.shape[0] }, (_, index) => index)
  return softmaxCrossEntropy(tf.mul(similarities_NN, 1 / tau), diagonal)
}
