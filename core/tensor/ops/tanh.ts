import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"

/** tanh, element by element. Unlike `tf.tanh` it can be differentiated twice: see `twiceDifferentiable`. */
export const tanh = <T extends tf.Tensor>(x: T): T =>
  differentiable<tf.Tensor, { y: tf.Tensor }>(
    [x],
    (given) => {
      const y = tf.tanh(given(x))
      return { y, saved: { y } }
    },
    (dy, { y }) => [tf.mul(tf.sub(1, tf.square(y)), dy)],
  ) as T
