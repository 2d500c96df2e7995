import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { type Kernels, kernel } from "../kernels.ts"
import { currentTap, differentiatedBy, gradientsOf, type Tap } from "../tap.ts"
import { referenceGelu } from "./gelu.ts"
import { sumRows } from "./sum-rows.ts"
import { transpose } from "./transpose.ts"

// Factors are transposed beforehand: the wasm backend multiplies transposed factors up to thirty times slower.

export const referenceLinear: Kernels["linear"] = (x_TI, weight_OI, bias_O) => {
  const weight_IO = kernel("transpose", transpose)(weight_OI)
  return tf.fused.matMul({ a: x_TI, b: weight_IO, bias: bias_O }) as tf.Tensor2D
}

export const referenceLinearGelu: Kernels["linearGelu"] = (x_TI, weight_OI, bias_O) => {
  const { y, derivative } = kernel("gelu", referenceGelu)(referenceLinear(x_TI, weight_OI, bias_O))
  return { y_TO: y as tf.Tensor2D, derivative_TO: derivative as tf.Tensor2D }
}

export const referenceLinearInputGradient: Kernels["linearInputGradient"] = (dy_TO, weight_OI) =>
  tf.matMul(dy_TO, weight_OI)

export const referenceLinearParameterGradients: Kernels["linearParameterGradients"] = (dy_TO, x_TI) => ({
  dWeight_OI: tf.matMul(kernel("transpose", transpose)(dy_TO), x_TI),
  dBias_O: kernel("sumRows", sumRows)(dy_TO),
})

/** What follows from the gradient of x Wᵀ + b, whatever came after it. */
const backward = (
  tap: Tap | undefined,
  name: string | undefined,
  dy_TO: tf.Tensor2D,
  x_TI: tf.Tensor2D,
  weight_OI: tf.Tensor2D,
): tf.Tensor[] => {
  if (tap !== undefined && name !== undefined) {
    tap.receive({ op: "linear", name, input_TI: x_TI, outputGradient_TO: dy_TO })
  }
  const inputGradient = kernel("linearInputGradient", referenceLinearInputGradient)
  return gradientsOf(tap, [inputGradient(dy_TO, weight_OI)], () => {
    const parameterGradients = kernel("linearParameterGradients", referenceLinearParameterGradients)
    const { dWeight_OI, dBias_O } = parameterGradients(dy_TO, x_TI)
    return [dWeight_OI, dBias_O]
  })
}

/**
 * y = x Wᵀ + b, with the weight in PyTorch's and Hugging Face's layout [out, in].
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
    () => ({
      y: kernel("linear", referenceLinear)(x_TI, weight_OI, bias_O),
      saved: { x_TI, weight_OI },
    }),
    (dy_TO: tf.Tensor2D, { x_TI, weight_OI }) => backward(tap, name, dy_TO, x_TI, weight_OI),
  )
}

/**
 * gelu(x Wᵀ + b) with the exact (erf) GELU of Hendrycks and Gimpel 2016, x Φ(x).
 *
 * @param name under which a tap hears of x Wᵀ + b
 */
export const linearGelu = (
  x_TI: tf.Tensor2D,
  weight_OI: tf.Tensor2D,
  bias_O: tf.Tensor1D,
  name?: string,
): tf.Tensor2D => {
  const tap = currentTap()
  return differentiable(
    differentiatedBy(tap, [x_TI], [weight_OI, bias_O]),
    () => {
      const { y_TO, derivative_TO } = kernel("linearGelu", referenceLinearGelu)(x_TI, weight_OI, bias_O)
      return { y: y_TO, saved: { x_TI, weight_OI, derivative_TO } }
    },
    (dy_TO: tf.Tensor2D, { x_TI, weight_OI, derivative_TO }) =>
      backward(tap, name, tf.mul(dy_TO, derivative_TO), x_TI, weight_OI),
  )
}
