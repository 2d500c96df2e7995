import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { component } from "../../api/component.ts"
import type { OptimiserFunctions } from "../optimiser.ts"

/**
 * Stochastic gradient descent with momentum μ as in PyTorch: v ← μ v + g, θ ← θ − lr · v, with Nesterov's momentum
 * θ ← θ − lr · (g + μ v). Weight decay is decoupled (SGDW: Loshchilov and Hutter 2019), not PyTorch's: θ is first
 * multiplied by 1 − lr · λ.
 */
export const sgd = component({
  role: "optimiser",
  name: "sgd",
  module: import.meta.url,
  options: type({
    "+": "reject",
    /** μ. */
    momentum: "0 <= number < 1 = 0.9",
    nesterov: "boolean = false",
    /** λ, decoupled. */
    weightDecay: "0 <= number <= 1 = 0",
  }),
  make: ({ momentum, nesterov, weightDecay }): OptimiserFunctions<"velocity"> => ({
    init: (theta) => (momentum === 0 ? {} : { velocity: tf.zerosLike(theta) }),
    update: ({ theta, gradient, state, learningRate }) => {
      const kept = tf.mul(theta, 1 - learningRate * weightDecay)
      if (momentum === 0) return { theta: tf.sub(kept, tf.mul(gradient, learningRate)) }
      const velocity = tf.add(tf.mul(state.velocity, momentum), gradient)
      const direction = nesterov ? tf.add(gradient, tf.mul(velocity, momentum)) : velocity
      return { theta: tf.sub(kept, tf.mul(direction, learningRate)), velocity }
    },
  }),
})
