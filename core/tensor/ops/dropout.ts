import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { type Draw, fillDropoutMask } from "../stream.ts"

export interface Dropout {
  /** Probability that an element is dropped, in [0, 1). */
  readonly rate: number
  readonly draw: Draw
}

/** An inverted-dropout mask as a tensor: 0 or 1 / (1 − rate), element i from element i of the draw. */
export const dropoutMask = <T extends tf.Tensor>(shape: number[], { rate, draw }: Dropout): T => {
  const mask = new Float32Array(tf.util.sizeFromShape(shape))
  fillDropoutMask(mask, rate, draw)
  return tf.tensor(mask, shape) as T
}

/**
 * Inverted dropout: elements are dropped with probability `rate` and the others divided by 1 − rate.
 *
 * @throws RangeError unless 0 ≤ rate < 1
 */
export const dropout = <T extends tf.Tensor>(x: T, rate: number, draw: Draw): T => {
  if (rate === 0) return x.clone()
  return differentiable<tf.Tensor, { mask: tf.Tensor }>(
    [x],
    () => {
      const mask = dropoutMask(x.shape, { rate, draw })
      return { y: tf.mul(x, mask), saved: { mask } }
    },
    (dy, { mask }) => [tf.mul(dy, mask)],
  ) as T
}
