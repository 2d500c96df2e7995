import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { type Kernels, kernel } from "../kernels.ts"
import { type Draw, fillDropoutMask } from "../stream.ts"

export interface Dropout {
  /** Probability that an element is dropped, in [0, 1). */
  readonly rate: number
  readonly draw: Draw
}

/** An inverted-dropout mask as a tensor: 0 or 1 / (1 − rate), element i from element i of the draw. */
const dropoutMask = (shape: number[], { rate, draw }: Dropout, places?: Int32Array): tf.Tensor => {
  const mask = new Float32Array(tf.util.sizeFromShape(shape))
  if (places === undefined) fillDropoutMask(mask, rate, draw)
  else {
    const width = mask.length / places.length
    for (const [row, place] of places.entries()) {
      fillDropoutMask(mask.subarray(row * width, (row + 1) * width), rate, draw, place * width)
    }
  }
  return tf.tensor(mask, shape)
}

export const referenceDropout: Kernels["dropout"] = (x, dropout, places) => {
  const mask = dropoutMask(x.shape, dropout, places)
  return { y: tf.mul(x, mask), mask }
}

export const referenceDropoutGradient: Kernels["dropoutGradient"] = (dy, mask, dropout, places) =>
  tf.mul(dy, mask ?? dropoutMask(dy.shape, dropout, places))

/**
 * Inverted dropout: elements are dropped with probability `rate` and the others divided by 1 − rate.
 *
 * @param places where x has only some rows of the matrix that is dropped from, the row of it that each of x is: the
 *   same elements are dropped as if all rows were there
 * @throws RangeError unless 0 ≤ rate < 1
 */
export const dropout = <T extends tf.Tensor>(x: T, dropout: Dropout, places?: Int32Array): T => {
  if (dropout.rate === 0) return x.clone()
  return differentiable<tf.Tensor, { mask: tf.Tensor | undefined }>(
    [x],
    () => {
      const { y, mask } = kernel("dropout", referenceDropout)(x, dropout, places)
      return { y, saved: { mask } }
    },
    (dy, { mask }) => [kernel("dropoutGradient", referenceDropoutGradient)(dy, mask, dropout, places)],
  ) as T
}
