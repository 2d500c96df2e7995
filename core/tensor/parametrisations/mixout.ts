import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { component } from "../../api/component.ts"
import { dropout } from "../ops/dropout.ts"
import type { ParametrisationFunctions } from "../parametrisation.ts"

/**
 * Mixout (Lee, Cho and Kang 2020, equation 5): in each update every weight has with the given probability the value
 * u that it started with, and the expectation of the mixed weights is θ: (Mθ + (1 − M)u − pu) / (1 − p), which is
 * u + dropout(θ − u). Gradients flow to the weights that are not replaced.
 */
export const mixout = component({
  role: "parametrisation",
  name: "mixout",
  module: import.meta.url,
  options: type({ "+": "reject", probability: "0 <= number < 1 = 0.9" }),
  make: ({ probability }): ParametrisationFunctions => ({
    weight: (theta_OI, start_OI, draw) =>
      tf.add(start_OI, dropout(tf.sub(theta_OI, start_OI), { ...draw, rate: probability })),
  }),
})
