import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { component } from "../../api/component.ts"
import type { OptimiserFunctions } from "../optimiser.ts"

/**
 * Lion (Chen et al. 2023, algorithm 2): θ ← θ − lr · (sign(β₁ m + (1 − β₁) g) + λ θ), then m ← β₂ m + (1 − β₂) g. Its
 * updates all have the same size, so the authors advise a learning rate 3 to 10 times smaller than AdamW's.
 */
export const lion = component({
  role: "optimiser",
  name: "lion",
  module: import.meta.url,
  options: type({
    "+": "reject",
    /** The share of the momentum in the direction of an update. */
    beta1: "0 <= number < 1 = 0.9",
    /** Decay rate of the momentum. */
    beta2: "0 <= number < 1 = 0.99",
    /** λ, decoupled. */
    weightDecay: "0 <= number <= 1 = 0",
  }),
  make: ({ beta1, beta2, weightDecay }): OptimiserFunctions<"m"> => ({
    init: (theta) => ({ m: tf.zerosLike(theta) }),
    update: ({ theta, gradient, state: { m }, learningRate }) => {
      const direction = tf.sign(tf.add(tf.mul(m, beta1), tf.mul(gradient, 1 - beta1)))
      const kept = tf.mul(theta, 1 - learningRate * weightDecay)
      return {
        theta: tf.sub(kept, tf.mul(direction, learningRate)),
        m: tf.add(tf.mul(m, beta2), tf.mul(gradient, 1 - beta2)),
      }
    },
  }),
})
