import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { type Kernels, kernel } from "../kernels.ts"
import { currentTap, differentiatedBy, gradientsOf } from "../tap.ts"

export const referenceLayerNorm: Kernels["layerNorm"] = (x_TH, gamma_H, beta_H, epsilon) => {
  const centred_TH = tf.sub(x_TH, tf.mean(x_TH, 1, true))
  const inverseDeviation_T1 = tf.rsqrt(tf.add(tf.mean(tf.square(centred_TH), 1, true), epsilon))
  const normalised_TH: tf.Tensor2D = tf.mul(centred_TH, inverseDeviation_T1)
  return {
    y_TH: tf.add(tf.mul(normalised_TH, gamma_H), beta_H),
    normalised_TH,
    inverseDeviation_T: tf.reshape(inverseDeviation_T1, [x_TH.shape[0]]),
  }
}

/** dx = (g − mean(g) − x̂ · mean(g · x̂)) / deviation, with g = γ · dy and means over the features. */
export const referenceLayerNormInputGradient: Kernels["layerNormInputGradient"] = (
  dy_TH,
  normalised_TH,
  inverseDeviation_T,
  gamma_H,
) => {
  const g_TH = tf.mul(dy_TH, gamma_H)
  const along_T1 = tf.mean(tf.mul(g_TH, normalised_TH), 1, true)
  const inner_TH = tf.sub(tf.sub(g_TH, tf.mean(g_TH, 1, true)), tf.mul(normalised_TH, along_T1))
  return tf.mul(inner_TH, tf.expandDims(inverseDeviation_T, 1))
}

export const referenceLayerNormParameterGradients: Kernels["layerNormParameterGradients"] = (
  dy_TH,
  normalised_TH,
) => ({ dGamma_H: tf.sum(tf.mul(dy_TH, normalised_TH), 0), dBeta_H: tf.sum(dy_TH, 0) })

/**
 * Layer normalisation over the features (Ba, Kiros and Hinton 2016), with the biased variance.
 *
 * @param name under which a tap hears of it
 */
export const layerNorm = (
  x_TH: tf.Tensor2D,
  gamma_H: tf.Tensor1D,
  beta_H: tf.Tensor1D,
  epsilon: number,
  name?: string,
): tf.Tensor2D => {
  const tap = currentTap()
  return differentiable(
    differentiatedBy(tap, [x_TH], [gamma_H, beta_H]),
    () => {
      const { y_TH, ...saved } = kernel("layerNorm", referenceLayerNorm)(x_TH, gamma_H, beta_H, epsilon)
      return { y: y_TH, saved: { ...saved, gamma_H } }
    },
    (dy_TH, { normalised_TH, inverseDeviation_T, gamma_H }) => {
      if (tap !== undefined && name !== undefined) {
        tap.receive({ op: "layerNorm", name, normalised_TH, outputGradient_TH: dy_TH })
      }
      const inputGradient = kernel("layerNormInputGradient", referenceLayerNormInputGradient)
      const parameterGradients = kernel("layerNormParameterGradients", referenceLayerNormParameterGradients)
      return gradientsOf(tap, [inputGradient(dy_TH, normalised_TH, inverseDeviation_T, gamma_H)], () => {
        const { dGamma_H, dBeta_H } = parameterGradients(dy_TH, normalised_TH)
        return [dGamma_H, dBeta_H]
      })
    },
  )
}
