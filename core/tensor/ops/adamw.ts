import * as tf from "@tensorflow/tfjs-core"
import { defineKernel } from "../kernel.ts"

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
