import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { defineKernel } from "../kernel.ts"
import { currentTap, differentiatedBy, gradientsOf, type Tap } from "../tap.ts"
import { takeGradientSoFar } from "../tape.ts"
import { geluKernel } from "./gelu.ts"
import { sumRowsKernel } from "./sum-rows.ts"
import { transposeKernel } from "./transpose.ts"

// Factors are transposed first: the wasm backend multiplies transposed factors up to thirty times slower.

/** y = x Wᵀ + b, with the weight as [O, I]. */
export const linearKernel = defineKernel(
  "linear",
  (x_TI: tf.Tensor2D, weight_OI: tf.Tensor2D, bias_O: tf.Tensor1D): tf.Tensor2D =>
    tf.fused.matMul({ a: x_TI, b: transposeKernel(weight_OI), bias: bias_O }) as tf.Tensor2D,
)

/** gelu(x Wᵀ + b), and the derivative of gelu at x Wᵀ + b. */
export const linearGeluKernel = defineKernel(
  "linearGelu",
  (
    x_TI: tf.Tensor2D,
    weight_OI: tf.Tensor2D,
    bias_O: tf.Tensor1D,
  ): { readonly y_TO: tf.Tensor2D; readonly derivative_TO: tf.Tensor2D } => {
    const { y, derivative } = geluKernel(linearKernel(x_TI, weight_OI, bias_O))
    return { y_TO: y as tf.Tensor2D, derivative_TO: derivative as tf.Tensor2D }
  },
)

/** dy W. With `onto_TI`, onto + dy W: its caller gives it up, and may get it back as the result. */
export const linearInputGradientKernel = defineKernel(
  "linearInputGradient",
  (dy_TO: tf.Tensor2D, weight_OI: tf.Tensor2D, onto_TI?: tf.Tensor2D): tf.Tensor2D => {
    const dx_TI: tf.Tensor2D = tf.matMul(dy_TO, weight_OI)
    return onto_TI === undefined ? dx_TI : tf.add(onto_TI, dx_TI)
  },
)

/** dy W ∘ factor: through a layer, and the activation before it, whose derivative is the factor. */
export const linearInputGradientTimesKernel = defineKernel(
  "linearInputGradientTimes",
  (dy_TO: tf.Tensor2D, weight_OI: tf.Tensor2D, factor_TI: tf.Tensor2D): tf.Tensor2D =>
    tf.mul(tf.matMul(dy_TO, weight_OI), factor_TI),
)

/** dyᵀ x and Σ_t dy. */
export const linearParameterGradientsKernel = defineKernel(
  "linearParameterGradients",
  (
    dy_TO: tf.Tensor2D,
    x_TI: tf.Tensor2D,
  ): { readonly dWeight_OI: tf.Tensor2D; readonly dBias_O: tf.Tensor1D } => ({
    dWeight_OI: tf.matMul(transposeKernel(dy_TO), x_TI),
    dBias_O: sumRowsKernel(dy_TO),
  }),
)

/** Tells the tap of a layer whose backward pass runs. */
export const reportLinear = (
  tap: Tap | undefined,
  name: string | undefined,
  outputGradient_TO: tf.Tensor2D,
  input_TI: tf.Tensor2D,
): void => {
  if (name !== undefined) tap?.receive({ op: "linear", name, input_TI, outputGradient_TO })
}

/** Of the weight and of the bias. */
export const parameterGradients = (dy_TO: tf.Tensor2D, x_TI: tf.Tensor2D): readonly tf.Tensor[] => {
  const { dWeight_OI, dBias_O } = linearParameterGradientsKernel(dy_TO, x_TI)
  return [dWeight_OI, dBias_O]
}

/**
 * y = x Wᵀ + b, with the weight in PyTorch's and Hugging Face's layout [out, in].
 *
 * @param name under which the op reports to a tap
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
    (given) => {
      const saved = { x_TI: given(x_TI), weight_OI: given(weight_OI) }
      return { y: linearKernel(saved.x_TI, saved.weight_OI, given(bias_O)), saved }
    },
    (dy_TO: tf.Tensor2D, saved) => {
      reportLinear(tap, name, dy_TO, saved.x_TI)
      const dx_TI = linearInputGradientKernel(dy_TO, saved.weight_OI, takeGradientSoFar(x_TI))
      return gradientsOf(tap, [dx_TI], () => parameterGradients(dy_TO, saved.x_TI))
    },
  )
}

/**
 * gelu(x Wᵀ + b) with the exact (erf) GELU of Hendrycks and Gimpel 2016, x Φ(x).
 *
 * @param name under which x Wᵀ + b reports to a tap
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
    (given) => {
      const saved = { x_TI: given(x_TI), weight_OI: given(weight_OI) }
      const { y_TO, derivative_TO } = linearGeluKernel(saved.x_TI, saved.weight_OI, given(bias_O))
      return { y: y_TO, saved: { ...saved, derivative_TO } }
    },
    (dy_TO: tf.Tensor2D, saved) => {
      const dSum_TO: tf.Tensor2D = tf.mul(dy_TO, saved.derivative_TO)
      reportLinear(tap, name, dSum_TO, saved.x_TI)
      const dx_TI = linearInputGradientKernel(dSum_TO, saved.weight_OI, takeGradientSoFar(x_TI))
      return gradientsOf(tap, [dx_TI], () => parameterGradients(dSum_TO, saved.x_TI))
    },
  )
}
