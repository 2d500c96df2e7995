import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { defineKernel } from "../kernel.ts"
import { type Dropout, fillDropoutMask } from "../stream.ts"

/** An inverted-dropout mask as a tensor: 0 or 1 / (1 − rate), element i from element i of the stream at that site. */
const dropoutMask = (shape: number[], dropout: Dropout, indices?: Int32Array): tf.Tensor => {
  const mask = new Float32Array(tf.util.sizeFromShape(shape))
  if (indices === undefined) fillDropoutMask(mask, dropout)
  else {
    const width = mask.length / indices.length
    for (const [row, index] of indices.entries()) {
      fillDropoutMask(mask.subarray(row * width, (row + 1) * width), dropout, index * width)
    }
  }
  return tf.tensor(mask, shape)
}

/**
 * Inverted dropout, and the mask, where it is not made anew for the gradient.
 *
 * @param indices row n of x is row indices[n] of the matrix that the draw's elements are numbered by; where left out,
 *   x is that matrix
 */
export const dropoutKernel = defineKernel(
  "dropout",
  (
    x: tf.Tensor,
    dropout: Dropout,
    indices?: Int32Array,
  ): { readonly y: tf.Tensor; readonly mask: tf.Tensor | undefined } => {
    const mask = dropoutMask(x.shape, dropout, indices)
    return { y: tf.mul(x, mask), mask }
  },
)

export const dropoutGradientKernel = defineKernel(
  "dropoutGradient",
  (dy: tf.Tensor, mask: tf.Tensor | undefined, dropout: Dropout, indices?: Int32Array): tf.Tensor =>
    tf.mul(dy, mask ?? dropoutMask(dy.shape, dropout, indices)),
)

/**
 * Inverted dropout: elements are dropped with probability `rate` and the others divided by 1 − rate.
 *
 * @param indices where x has only some rows of the matrix that is dropped from, the row of it that each of x is: the
 *   same elements are dropped as if all rows were there
 * @throws RangeError unless 0 ≤ rate < 1
 */
export const dropout = <T extends tf.Tensor>(x: T, dropout: Dropout, indices?: Int32Array): T => {
  if (dropout.rate === 0) return x.clone()
  return differentiable<tf.Tensor, { mask: tf.Tensor | undefined }>(
    [x],
    () => {
      const { y, mask } = dropoutKernel(x, dropout, indices)
      return { y, saved: { mask } }
    },
    (dy, { mask }) => [dropoutGradientKernel(dy, mask, dropout, indices)],
  ) as T
}
