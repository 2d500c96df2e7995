import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { component } from "../../api/component.ts"
import { power } from "../elementary.ts"
import type { OptimiserFunctions } from "../optimiser.ts"

/**
 * Adafactor without momentum, at the schedule's learning rate (Shazeer and Stern 2018, algorithm 4; transformers' with
 * `scale_parameter=False, relative_step=False`). Of squared gradients it keeps the means of rows and of columns; a vector
 * is a matrix of one column. An update is scaled down to a root mean square of at most the learning rate.
 */
export const adafactor = component({
  role: "optimiser",
  name: "adafactor",
  module: import.meta.url,
  options: type({
    "+": "reject",
    /** c: the means decay at the rate 1 − t^−c. */
    decay: "0 < number <= 1 = 0.8",
    /** Decoupled: θ is first multiplied by 1 − learning rate · weight decay. */
    weightDecay: "0 <= number <= 1 = 0",
  }),
  make: ({ decay, weightDecay }): OptimiserFunctions<"rows" | "columns"> => ({
    init: ({ shape: [h = 1, w = 1] }) => ({ rows: tf.zeros([h, 1]), columns: tf.zeros([1, w]) }),
    update: ({ theta, gradient, state, learningRate, step }) => {
      const rest = power(step, -decay)
      const g = gradient.reshape([state.rows.size, state.columns.size])
      const squares = tf.add(tf.square(g), 1e-30)
      const rows = tf.add(tf.mul(state.rows, 1 - rest), tf.mul(tf.mean(squares, 1, true), rest))
      const columns = tf.add(tf.mul(state.columns, 1 - rest), tf.mul(tf.mean(squares, 0, true), rest))
      const u = tf
        .mul(tf.mul(g, tf.rsqrt(tf.div(rows, tf.mean(rows)))), tf.rsqrt(columns))
        .reshape(theta.shape)
      const size = tf.maximum(tf.sqrt(tf.mean(tf.square(u))), 1)
      const kept = tf.mul(theta, 1 - learningRate * weightDecay)
      return { theta: tf.sub(kept, tf.mul(tf.div(u, size), learningRate)), rows, columns }
    },
  }),
})
