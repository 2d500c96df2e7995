import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { defineKernel } from "../kernel.ts"
import { softmaxCrossEntropyKernel } from "./softmax-cross-entropy.ts"
import { transposeKernel } from "./transpose.ts"

/** Smaller norms are replaced by this one, as in PyTorch's cosine similarity. */
const smallestNorm = 1e-8

/** Rows divided by their Euclidean norms. */
const normaliseRows = (
  x_ND: tf.Tensor2D,
): { readonly unit_ND: tf.Tensor2D; readonly norm_N1: tf.Tensor2D } => {
  const norm_N1: tf.Tensor2D = tf.maximum(tf.sqrt(tf.sum(tf.square(x_ND), 1, true)), smallestNorm)
  return { unit_ND: tf.div(x_ND, norm_N1), norm_N1 }
}

/** The gradient with respect to a row, from that with respect to the row divided by its norm. */
const throughNorm = (
  dUnit_ND: tf.Tensor2D,
  { unit_ND, norm_N1 }: ReturnType<typeof normaliseRows>,
): tf.Tensor2D => {
  const along_N1 = tf.sum(tf.mul(dUnit_ND, unit_ND), 1, true)
  return tf.div(tf.sub(dUnit_ND, tf.mul(unit_ND, along_N1)), norm_N1)
}

/** Mean over i of −log softmax_j(cos(z1ᵢ, z2ⱼ) / τ)[i], and its gradients. */
export const infoNCEKernel = defineKernel(
  "infoNCE",
  (
    z1_ND: tf.Tensor2D,
    z2_ND: tf.Tensor2D,
    temperature: number,
  ): { readonly loss: tf.Scalar; readonly dz1_ND: tf.Tensor2D; readonly dz2_ND: tf.Tensor2D } => {
    const [first, second] = [normaliseRows(z1_ND), normaliseRows(z2_ND)]
    const similarities_NN: tf.Tensor2D = tf.mul(
      tf.matMul(first.unit_ND, transposeKernel(second.unit_ND)),
      1 / temperature,
    )
    const diagonal = Int32Array.from({ length: z1_ND.shape[0] }, (_, index) => index)
    const { loss, dLogits_NC } = softmaxCrossEntropyKernel(similarities_NN, diagonal)
    const dCosines_NN: tf.Tensor2D = tf.mul(dLogits_NC, 1 / temperature)
    return {
      loss,
      dz1_ND: throughNorm(tf.matMul(dCosines_NN, second.unit_ND), first),
      dz2_ND: throughNorm(tf.matMul(transposeKernel(dCosines_NN), first.unit_ND), second),
    }
  },
)

/**
 * InfoNCE in one direction, as SimCSE uses it (Gao, Yao and Chen 2021, equation 1): the mean over i of
 * −log softmax_j(cos(z1ᵢ, z2ⱼ) / τ)[i].
 *
 * @param temperature τ, > 0
 * @throws RangeError if there are no rows (their mean would be NaN), or the shapes differ
 */
export const infoNCE = (z1_ND: tf.Tensor2D, z2_ND: tf.Tensor2D, temperature: number): tf.Scalar => {
  if (z1_ND.shape[0] === 0 || !tf.util.arraysEqual(z1_ND.shape, z2_ND.shape)) {
    throw new RangeError(
      `expected two views of the same shape with at least one row, found [${z1_ND.shape}] and [${z2_ND.shape}]`,
    )
  }
  return differentiable(
    [z1_ND, z2_ND],
    (given) => {
      const { loss, ...saved } = infoNCEKernel(given(z1_ND), given(z2_ND), temperature)
      return { y: loss, saved }
    },
    (dy, { dz1_ND, dz2_ND }) => [tf.mul(dz1_ND, dy), tf.mul(dz2_ND, dy)],
  )
}
