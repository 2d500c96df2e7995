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
 * Inverted dropout, and its mask, unless the gradient recomputes it.
 *
 * @param indices row n of x is row indices[n] of the full matrix, by whose elements the draw is numbered; by default x
 *   is the full matrix
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
 * @param indices if x has only some rows of a matrix, the index of each in that matrix: the same elements are dropped
 *   as if all rows were present
 * @throws RangeError unless 0 ≤ rate < 1
 */
export const dropout = <T extends tf.Tensor>(x: T, dropout: Dropout, indices?: Int32Array): T => {
  if (dropout.rate === 0) return x.clone()
  return differentiable<tf.Tensor, { mask: tf.Tensor | undefined }>(
    [x],
    (given) => {
      const { y, mask } = dropoutKernel(given(x), dropout, indices)
      return { y, saved: { mask } }
    },
    (dy, { mask }) => [dropoutGradientKernel(dy, mask, dropout, indices)],
  ) as T
}
