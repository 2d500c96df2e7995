import * as tf from "@tensorflow/tfjs-core"
import { defineKernel } from "../kernel.ts"

/** What is updated of one parameter. */
export interface AdamWUpdate {
  readonly theta: tf.Tensor
  /** Before clipping. */
  readonly gradient: tf.Tensor
  readonly m: tf.Tensor
  readonly v: tf.Tensor
  /** Learning rate, times √(1 − β₂ᵗ) / (1 − β₁ᵗ) with bias correction. */
  readonly stepSize: number
  /** Learning rate times weight decay. */
  readonly decay: number
}

/** What is the same for all parameters. */
export interface AdamWSettings {
  /** Of all gradients as one vector. */
  readonly norm: tf.Scalar
  /** Gradients whose norm exceeds this are scaled down to it: see `clippingScale`. */
  readonly largestNorm: number
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
}

/**
 * One AdamW update of all parameters. If the norm is not finite no value changes; nothing waits for it to be read.
 *
 * Takes over θ, m and v: what it returns is the same tensor, updated in place, or a new one, and then the old one is
 * disposed of, so that there is never a second copy of the model. Tensors that share θ's data keep their values.
 */
export const adamwKernel = defineKernel(
  "adamw",
  (
    updates: readonly AdamWUpdate[],
    { norm, largestNorm, beta1, beta2, epsilon }: AdamWSettings,
  ): readonly Readonly<Record<"theta" | "m" | "v", tf.Tensor>>[] =>
    tf.tidy(() => {
      const finite = tf.isFinite(norm)
      const scale = tf.minimum(1, tf.div(largestNorm, tf.add(norm, 1e-6)))
      return updates.map(({ theta, gradient, m, v, stepSize, decay }) => {
        const next = tf.tidy(() => {
          const g = tf.mul(gradient, scale)
          const nextM = tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1))
          const nextV = tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2))
          const moved = tf.sub(theta, tf.mul(tf.div(nextM, tf.add(tf.sqrt(nextV), epsilon)), stepSize))
          const decayed = decay === 0 ? moved : tf.sub(moved, tf.mul(moved, decay))
          return {
            theta: tf.where(finite, decayed, theta),
            m: tf.where(finite, nextM, m),
            v: tf.where(finite, nextV, v),
          }
        })
        tf.dispose([theta, m, v])
        return next
      })
    }),
)
