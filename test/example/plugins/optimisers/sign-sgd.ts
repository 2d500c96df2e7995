import { component, type OptimiserFunctions, tf, type } from "kasosei"

/** Sign SGD with momentum (Bernstein et al. 2018, algorithm 2): m ← β m + (1 − β) g, θ ← θ − lr · (sign(m) + λ θ). */
export const signSgd = component({
  role: "optimiser",
  name: "sign-sgd",
  module: import.meta.url,
  options: type({
    "+": "reject",
    /** β. */
    momentum: "0 <= number < 1 = 0.9",
    /** λ, decoupled. */
    weightDecay: "0 <= number <= 1 = 0",
  }),
  make: ({ momentum, weightDecay }): OptimiserFunctions<"m"> => ({
    init: (theta) => ({ m: tf.zerosLike(theta) }),
    update: ({ theta, gradient, state, learningRate }) => {
      const m = tf.add(tf.mul(state.m, momentum), tf.mul(gradient, 1 - momentum))
      const kept = tf.mul(theta, 1 - learningRate * weightDecay)
      return { theta: tf.sub(kept, tf.mul(tf.sign(m), learningRate)), m }
    },
  }),
})
