import * as tf from "@tensorflow/tfjs-core"
import { defineKernel } from "../kernel.ts"
import type { Gradients } from "../parameters.ts"

/**
 * The square root of the sum of all squares of all gradients, float32. NaN if one of the watched numbers is not finite,
 * so that what is computed from it need not wait until those are read.
 */
export const globalNormKernel = defineKernel(
  "globalNorm",
  (gradients: readonly tf.Tensor[], watched: readonly tf.Scalar[]): tf.Scalar =>
    tf.tidy(() => {
      const squares = gradients.map((gradient) => tf.sum(tf.square(gradient)))
      const norm: tf.Scalar = tf.sqrt(tf.sum(tf.stack([tf.scalar(0), ...squares])))
      // The product with 0 is 0 or, if the number is not finite, NaN.
      return watched.reduce((sum, number) => tf.add(sum, tf.mul(number, 0)), norm)
    }),
)

/** The Euclidean norm of all gradients as one vector, which the caller disposes of. See {@link globalNormKernel}. */
export const globalNorm = (gradients: Gradients, watched: readonly tf.Scalar[] = []): tf.Scalar =>
  globalNormKernel([...gradients.values()], watched)

/** The factor for gradients of this norm, so that it does not exceed `maximum`; as in PyTorch's clip_grad_norm_. */
export const clippingScale = (norm: number, maximum: number): number => Math.min(1, maximum / (norm + 1e-6))
