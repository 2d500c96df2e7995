import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { component } from "../../api/component.ts"
import type { RegulariserFunctions } from "../regulariser.ts"

/**
 * L2-SP (Li, Grandvalet and Davoine 2018, equation 3): α/2 ‖w − w⁰‖² over the parameters that training starts from with
 * the values w⁰ of a checkpoint, and β/2 ‖w‖² over the new ones.
 */
export const l2SP = component({
  role: "regulariser",
  name: "l2-sp",
  module: import.meta.url,
  options: type({
    "+": "reject",
    /** α. */
    pretrained: "number >= 0 = 0.1",
    /** β. */
    drawn: "number >= 0 = 0.01",
  }),
  make: ({ pretrained, drawn }): RegulariserFunctions => ({
    gradient: (theta, start) =>
      start === undefined ? tf.mul(theta, drawn) : tf.mul(tf.sub(theta, start), pretrained),
  }),
})
