import * as tf from "@tensorflow/tfjs-core"
import { defineKernel } from "../kernel.ts"
import type { Gradients } from "../parameters.ts"

/** The square root of the sum of all squares of all tensors. */
export const globalNormKernel = defineKernel("globalNorm", (tensors: readonly tf.Tensor[]): number =>
  tf.tidy(() => {
    if (tensors.length === 0) return 0
    const squares = tf.stack(tensors.map((tensor) => tf.sum(tf.square(tensor))))
    return tf.sqrt(tf.sum(squares)).dataSync()[0]!
  }),
)

/** The Euclidean norm of all gradients as one vector. */
export const globalNorm = (gradients: Gradients): number => globalNormKernel([...gradients.values()])

/** The factor for gradients of this norm, so that it does not exceed `maximum`; as in PyTorch's clip_grad_norm_. */
export const clippingScale = (norm: number, maximum: number): number => Math.min(1, maximum / (norm + 1e-6))
