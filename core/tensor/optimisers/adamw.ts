import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { component } from "../../api/component.ts"
import { power } from "../elementary.ts"
import { adamwKernel } from "../ops/adamw.ts"
import type { OptimiserFunctions } from "../optimiser.ts"

/**
 * AdamW in the form that BERT was trained with and that Hugging Face's AdamW kept (Loshchilov and Hutter 2019; Devlin
 * et al. 2019): m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², θ ← θ − lr · m / (√v + ε), then weight decay. With bias
 * correction lr is multiplied by √(1 − β₂ᵗ) / (1 − β₁ᵗ); ε is not.
 */
export const adamw = component({
  role: "optimiser",
  name: "adamw",
  module: import.meta.url,
  options: type({
    "+": "reject",
    /** Decay rate of the first moment. */
    beta1: "0 <= number < 1 = 0.9",
    /** Decay rate of the second moment. */
    beta2: "0 <= number < 1 = 0.999",
    /** Added to the root of the second moment. */
    epsilon: "0 < number <= 1 = 0.000001",
    /** Decoupled: after the update, θ ← θ − learning rate · weight decay · θ. */
    weightDecay: "0 <= number <= 1 = 0",
    /** Without it the first updates are several times larger, and runs are less stable. */
    biasCorrection: "boolean = true",
  }),
  make: ({ beta1, beta2, epsilon, weightDecay, biasCorrection }): OptimiserFunctions<"m" | "v"> => ({
    init: (theta) => ({ m: tf.zerosLike(theta), v: tf.zerosLike(theta) }),
    updateAll: (steps, clipping) =>
      adamwKernel(
        steps.map(({ state, learningRate, step, ...given }) => {
          const correction = biasCorrection ? Math.sqrt(1 - power(beta2, step)) / (1 - power(beta1, step)) : 1
          return {
            ...{ ...given, ...state },
            stepSize: learningRate * correction,
            decay: learningRate * weightDecay,
          }
        }),
        { ...clipping, beta1, beta2, epsilon },
      ),
  }),
})
