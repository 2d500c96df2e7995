import * as tf from "@tensorflow/tfjs-core"
import { defineKernel } from "../kernel.ts"
import type { Gradients, Parameters } from "../parameters.ts"

export interface AdamWCoefficients {
  /** The gradient is multiplied by it first (clipping). */
  readonly gradientScale: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  /** Learning rate, times √(1 − β₂ᵗ) / (1 − β₁ᵗ) with bias correction. */
  readonly stepSize: number
  /** Learning rate times weight decay. */
  readonly decay: number
}

/** One AdamW update. May update `m`, `v`, and a `theta` whose data no other tensor shares, in place and return them. */
export const adamwKernel = defineKernel(
  "adamw",
  (
    theta: tf.Tensor,
    gradient: tf.Tensor,
    m: tf.Tensor,
    v: tf.Tensor,
    coefficients: AdamWCoefficients,
  ): { readonly theta: tf.Tensor; readonly m: tf.Tensor; readonly v: tf.Tensor } => {
    const { gradientScale, beta1, beta2, epsilon, stepSize, decay } = coefficients
    return tf.tidy(() => {
      const g = tf.mul(gradient, gradientScale)
      const nextM = tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1))
      const nextV = tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2))
      const moved = tf.sub(theta, tf.mul(tf.div(nextM, tf.add(tf.sqrt(nextV), epsilon)), stepSize))
      return { theta: decay === 0 ? moved : tf.sub(moved, tf.mul(moved, decay)), m: nextM, v: nextV }
    })
  },
)

/** The moments by parameter name. */
export interface AdamWState {
  readonly m: Parameters
  readonly v: Parameters
  /** The number of updates done. */
  readonly step: number
}

export interface AdamWOptions {
  readonly learningRate: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  /** Decoupled: after the update, θ ← θ − learning rate · weight decay · θ. */
  readonly weightDecay: number
  /** Whether the learning rate is multiplied by √(1 − β₂ᵗ) / (1 − β₁ᵗ). */
  readonly biasCorrection: boolean
  /** All gradients are multiplied by it; see `clippingScale`. */
  readonly gradientScale: number
}

export const adamwInit = (parameters: Parameters): AdamWState => ({
  m: parameters.zeros(),
  v: parameters.zeros(),
  step: 0,
})

/**
 * One update of AdamW in the form that BERT was trained with and that Hugging Face's AdamW kept (Loshchilov and
 * Hutter 2019; Devlin et al. 2019): m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², θ ← θ − lr · m / (√v + ε), then
 * weight decay. With bias correction lr is multiplied by √(1 − β₂ᵗ) / (1 − β₁ᵗ); ε is not.
 *
 * Parameters without a gradient, and their moments, stay as they are. Parameters and moments are replaced in their
 * sets: a tensor taken from a set before the update must not be used after it.
 *
 * @returns the state after the update, which shares its moments with the given one
 */
export const adamwStep = (
  parameters: Parameters,
  gradients: Gradients,
  state: AdamWState,
  options: AdamWOptions,
): AdamWState => {
  const { learningRate, beta1, beta2, epsilon, weightDecay, biasCorrection, gradientScale } = options
  const step = state.step + 1
  const correction = biasCorrection ? Math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step) : 1
  const coefficients: AdamWCoefficients = {
    gradientScale,
    beta1,
    beta2,
    epsilon,
    stepSize: learningRate * correction,
    decay: learningRate * weightDecay,
  }
  for (const [name, gradient] of gradients) {
    const next = adamwKernel(
      parameters.get(name),
      gradient,
      state.m.get(name),
      state.v.get(name),
      coefficients,
    )
    parameters.set(name, next.theta)
    state.m.set(name, next.m)
    state.v.set(name, next.v)
  }
  return { ...state, step }
}
