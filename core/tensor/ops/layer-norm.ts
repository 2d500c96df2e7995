import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { defineKernel } from "../kernel.ts"
import type { Dropout } from "../stream.ts"
import { currentTap, differentiatedBy, gradientsOf, type Tap } from "../tap.ts"
import { dropoutGradientKernel, dropoutKernel } from "./dropout.ts"

interface Normalised {
  readonly y_TH: tf.Tensor2D
  readonly normalised_TH: tf.Tensor2D
  readonly rstd_T: tf.Tensor1D
}

/**
 * Normalised rows x̂ = (x − mean) · rstd, with the reciprocal standard deviation rstd = (variance + ε)^−½, and
 * y = γ x̂ + β.
 */
export const layerNormKernel = defineKernel(
  "layerNorm",
  (x_TH: tf.Tensor2D, gamma_H: tf.Tensor1D, beta_H: tf.Tensor1D, epsilon: number): Normalised => {
    const centred_TH = tf.sub(x_TH, tf.mean(x_TH, 1, true))
    const rstd_T1 = tf.rsqrt(tf.add(tf.mean(tf.square(centred_TH), 1, true), epsilon))
    const normalised_TH: tf.Tensor2D = tf.mul(centred_TH, rstd_T1)
    return {
      y_TH: tf.add(tf.mul(normalised_TH, gamma_H), beta_H),
      normalised_TH,
      rstd_T: tf.reshape(rstd_T1, [x_TH.shape[0]]),
    }
  },
)

/** dx = (g − mean(g) − x̂ · mean(g · x̂)) · rstd, with g = γ · dy and means over the features. */
export const layerNormInputGradientKernel = defineKernel(
  "layerNormInputGradient",
  (
    dy_TH: tf.Tensor2D,
    normalised_TH: tf.Tensor2D,
    rstd_T: tf.Tensor1D,
    gamma_H: tf.Tensor1D,
  ): tf.Tensor2D => {
    const g_TH = tf.mul(dy_TH, gamma_H)
    const along_T1 = tf.mean(tf.mul(g_TH, normalised_TH), 1, true)
    const inner_TH = tf.sub(tf.sub(g_TH, tf.mean(g_TH, 1, true)), tf.mul(normalised_TH, along_T1))
    return tf.mul(inner_TH, tf.expandDims(rstd_T, 1))
  },
)

/** Σ_t dy · x̂ and Σ_t dy. */
export const layerNormParameterGradientsKernel = defineKernel(
  "layerNormParameterGradients",
  (
    dy_TH: tf.Tensor2D,
    normalised_TH: tf.Tensor2D,
  ): { readonly dGamma_H: tf.Tensor1D; readonly dBeta_H: tf.Tensor1D } => ({
    dGamma_H: tf.sum(tf.mul(dy_TH, normalised_TH), 0),
    dBeta_H: tf.sum(dy_TH, 0),
  }),
)

/**
 * `layerNorm` of residual + dropout(x), and dropout's mask, unless the gradient recomputes it.
 *
 * @param indices see `dropout`
 */
export const residualNormKernel = defineKernel(
  "residualNorm",
  (
    x_TH: tf.Tensor2D,
    residual_TH: tf.Tensor2D,
    gamma_H: tf.Tensor1D,
    beta_H: tf.Tensor1D,
    epsilon: number,
    dropout?: Dropout,
    indices?: Int32Array,
  ): Normalised & { readonly mask: tf.Tensor | undefined } => {
    const dropped = dropout && dropoutKernel(x_TH, dropout, indices)
    const sum_TH: tf.Tensor2D = tf.add(residual_TH, dropped?.y ?? x_TH)
    return { ...layerNormKernel(sum_TH, gamma_H, beta_H, epsilon), mask: dropped?.mask }
  },
)

/**
 * The gradients of both terms of a residual sum that is normalised: `layerNormInputGradient` for the residual, and dropped
 * as x was for x.
 *
 * @param mask that of the forward pass, unless it is recomputed
 */
export const residualNormInputGradientKernel = defineKernel(
  "residualNormInputGradient",
  (
    dy_TH: tf.Tensor2D,
    normalised_TH: tf.Tensor2D,
    rstd_T: tf.Tensor1D,
    gamma_H: tf.Tensor1D,
    mask: tf.Tensor | undefined,
    dropout: Dropout,
    indices?: Int32Array,
  ): { readonly dx_TH: tf.Tensor; readonly dResidual_TH: tf.Tensor } => {
    const dResidual_TH = layerNormInputGradientKernel(dy_TH, normalised_TH, rstd_T, gamma_H)
    return { dx_TH: dropoutGradientKernel(dResidual_TH, mask, dropout, indices), dResidual_TH }
  },
)

interface Saved {
  readonly [name: string]: tf.Tensor | undefined
  readonly normalised_TH: tf.Tensor2D
  readonly rstd_T: tf.Tensor1D
  readonly gamma_H: tf.Tensor1D
}

/** The gradients of what is normalised, by `inputGradients`, and of scale and shift. */
const backward = (
  tap: Tap | undefined,
  name: string | undefined,
  dy_TH: tf.Tensor2D,
  { normalised_TH }: Saved,
  inputGradients: () => readonly tf.Tensor[],
): tf.Tensor[] => {
  if (tap !== undefined && name !== undefined) {
    tap.receive({ op: "layerNorm", name, normalised_TH, outputGradient_TH: dy_TH })
  }
  return gradientsOf(tap, inputGradients(), () => {
    const { dGamma_H, dBeta_H } = layerNormParameterGradientsKernel(dy_TH, normalised_TH)
    return [dGamma_H, dBeta_H]
  })
}

/**
 * Layer normalisation over the features (Ba, Kiros and Hinton 2016), with the biased variance.
 *
 * @param name under which the op reports to a tap
 */
export const layerNorm = (
  x_TH: tf.Tensor2D,
  gamma_H: tf.Tensor1D,
  beta_H: tf.Tensor1D,
  epsilon: number,
  name?: string,
): tf.Tensor2D => {
  const tap = currentTap()
  return differentiable<tf.Tensor2D, Saved>(
    differentiatedBy(tap, [x_TH], [gamma_H, beta_H]),
    (given) => {
      const gamma = given(gamma_H)
      const { y_TH, ...saved } = layerNormKernel(given(x_TH), gamma, given(beta_H), epsilon)
      return { y: y_TH, saved: { ...saved, gamma_H: gamma } }
    },
    (dy_TH, saved) =>
      backward(tap, name, dy_TH, saved, () => [
        layerNormInputGradientKernel(dy_TH, saved.normalised_TH, saved.rstd_T, saved.gamma_H),
      ]),
  )
}

/**
 * Layer normalisation of residual + dropout(x), the end of each half of an encoder layer.
 *
 * @param dropout of x; by default, and at a rate of 0, nothing is dropped
 * @param indices see `dropout`
 * @param name under which the normalisation reports to a tap
 */
export const residualNorm = (
  x_TH: tf.Tensor2D,
  residual_TH: tf.Tensor2D,
  gamma_H: tf.Tensor1D,
  beta_H: tf.Tensor1D,
  epsilon: number,
  {
    dropout,
    indices,
    name,
  }: { readonly dropout?: Dropout; readonly indices?: Int32Array; readonly name?: string } = {},
): tf.Tensor2D => {
  const tap = currentTap()
  const active = dropout !== undefined && dropout.rate > 0 ? dropout : undefined
  return differentiable<tf.Tensor2D, Saved & { readonly mask: tf.Tensor | undefined }>(
    differentiatedBy(tap, [x_TH, residual_TH], [gamma_H, beta_H]),
    (given) => {
      const gamma = given(gamma_H)
      const { y_TH, ...saved } = residualNormKernel(
        given(x_TH),
        given(residual_TH),
        gamma,
        given(beta_H),
        epsilon,
        active,
        indices,
      )
      return { y: y_TH, saved: { ...saved, gamma_H: gamma } }
    },
    (dy_TH, saved) =>
      backward(tap, name, dy_TH, saved, () => {
        const { normalised_TH, rstd_T, gamma_H, mask } = saved
        if (active === undefined) {
          const dSum_TH = layerNormInputGradientKernel(dy_TH, normalised_TH, rstd_T, gamma_H)
          return [dSum_TH.clone(), dSum_TH]
        }
        const { dx_TH, dResidual_TH } = residualNormInputGradientKernel(
          dy_TH,
          normalised_TH,
          rstd_T,
          gamma_H,
          mask,
          active,
          indices,
        )
        return [dx_TH, dResidual_TH]
      }),
  )
}
