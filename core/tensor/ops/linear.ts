import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { kernel } from "../kernels.ts"
import { currentTap, differentiatedBy, gradientsOf } from "../tap.ts"
import { sumRows } from "./sum-rows.ts"
import { transpose } from "./transpose.ts"

/**
 * y = x Wᵀ + b, with the weight in PyTorch's and Hugging Face's layout [out, in].
 * Factors are transposed beforehand: the wasm backend multiplies transposed factors up to thirty times slower.
 *
 * @param name under which a tap hears of it
 */
export const linear = (
  x_TI: tf.Tensor2D,
  weight_OI: tf.Tensor2D,
  bias_O: tf.Tensor1D,
  name?: string,
): tf.Tensor2D => {
  const tap = currentTap()
  return differentiable(
    differentiatedBy(tap, [x_TI], [weight_OI, bias_O]),
    () => {
      const weight_IO = kernel("transpose", transpose)(weight_OI)
      const y = tf.fused.matMul({ a: x_TI, b: weight_IO, bias: bias_O }) as tf.Tensor2D
      return { y, saved: { x_TI, weight_OI } }
    },
    (dy_TO: tf.Tensor2D, { x_TI, weight_OI }) => {
      if (tap !== undefined && name !== undefined) {
        tap.receive({ op: "linear", name, input_TI: x_TI, outputGradient_TO: dy_TO })
      }
      return gradientsOf(tap, [tf.matMul(dy_TO, weight_OI)], () => [
        tf.matMul(kernel("transpose", transpose)(dy_TO), x_TI),
        kernel("sumRows", sumRows)(dy_TO),
      ])
    },
  )
}
