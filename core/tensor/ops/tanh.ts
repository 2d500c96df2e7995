import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { defineKernel } from "../kernel.ts"

export const tanhKernel = defineKernel("tanh", (x: tf.Tensor): tf.Tensor => tf.tanh(x))

/** (1 − y²) dy, with y = tanh(x). */
export const tanhGradientKernel = defineKernel(
  "tanhGradient",
  (dy: tf.Tensor, y: tf.Tensor): tf.Tensor => tf.mul(tf.sub(1, tf.square(y)), dy),
)

/** tanh, element by element. Unlike `tf.tanh` it can be differentiated twice: see `twiceDifferentiable`. */
export const tanh = <T extends tf.Tensor>(x: T): T =>
  differentiable<tf.Tensor, { y: tf.Tensor }>(
    [x],
    (given) => {
      const y = tanhKernel(given(x))
      return { y, saved: { y } }
    },
    (dy, { y }) => [tanhGradientKernel(dy, y)],
  ) as T
