import type * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { currentTap, differentiatedBy, gradientsOf } from "../tap.ts"
import { takeGradientSoFar } from "../tape.ts"
import {
  linearGeluKernel,
  linearInputGradientKernel,
  linearInputGradientTimesKernel,
  linearKernel,
  parameterGradients,
  reportLinear,
} from "./linear.ts"

/** A linear layer's parameters in PyTorch's layout, and the name under which it reports to a tap. */
export interface LinearLayer {
  readonly weight_OI: tf.Tensor2D
  readonly bias_O: tf.Tensor1D
  readonly name?: string | undefined
}

/**
 * The position-wise feed-forward network of an encoder layer (Vaswani et al. 2017, section 3.3) with the exact GELU:
 * gelu(x W₁ᵀ + b₁) W₂ᵀ + b₂, from [T, I] through [T, F] to [T, O]. As one op, so that the gradient passes the second
 * layer and the GELU in one step.
 */
export const feedForward = (x_TI: tf.Tensor2D, first: LinearLayer, second: LinearLayer): tf.Tensor2D => {
  const tap = currentTap()
  return differentiable(
    differentiatedBy(tap, [x_TI], [first.weight_OI, first.bias_O, second.weight_OI, second.bias_O]),
    (given) => {
      const saved = {
        x_TI: given(x_TI),
        weight_FI: given(first.weight_OI),
        weight_OF: given(second.weight_OI),
      }
      const { y_TO: inner_TF, derivative_TO: derivative_TF } = linearGeluKernel(
        saved.x_TI,
        saved.weight_FI,
        given(first.bias_O),
      )
      return {
        y: linearKernel(inner_TF, saved.weight_OF, given(second.bias_O)),
        saved: { ...saved, inner_TF, derivative_TF },
      }
    },
    (dy_TO: tf.Tensor2D, { inner_TF, derivative_TF, weight_FI, weight_OF, ...saved }) => {
      reportLinear(tap, second.name, dy_TO, inner_TF)
      const dSum_TF = linearInputGradientTimesKernel(dy_TO, weight_OF, derivative_TF)
      reportLinear(tap, first.name, dSum_TF, saved.x_TI)
      const dx_TI = linearInputGradientKernel(dSum_TF, weight_FI, takeGradientSoFar(x_TI))
      return gradientsOf(tap, [dx_TI], () => [
        ...parameterGradients(dSum_TF, saved.x_TI),
        ...parameterGradients(dy_TO, inner_TF),
      ])
    },
  )
}
