/**
 * Gram matrices of per-sample gradients: K_ij = gᵢ · gⱼ, float64, row-major [N, N], exactly symmetric.
 * Shapes: N samples, T packed tokens of all samples, D features.
 */
import * as tf from "@tensorflow/tfjs-core"
import { gatherRows } from "../../../../core/tensor/ops/rows.ts"
import { sumRowsKernel } from "../../../../core/tensor/ops/sum-rows.ts"

/** Adds `addend` to `sum`, element by element. */
export const addTo = (sum: Float64Array, addend: ArrayLike<number>): void => {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + addend[i]!
}

/** Copies the upper triangle of a square matrix to its lower one, in place. */
export const mirror = (matrix: Float64Array): Float64Array => {
  const n = Math.sqrt(matrix.length)
  for (let i = 1; i < n; i++) for (let j = 0; j < i; j++) matrix[i * n + j] = matrix[j * n + i]!
  return matrix
}

/** The Gram matrix of N vectors of the same length, summed in float64. */
export const gramOf = (vectors: readonly Float32Array[]): Float64Array => {
  const n = vectors.length
  const gram = new Float64Array(n * n)
  for (const [i, left] of vectors.entries()) {
    for (let j = i; j < n; j++) {
      const right = vectors[j]!
      let sum = 0
      for (let k = 0; k < left.length; k++) sum += left[k]! * right[k]!
      gram[i * n + j] = sum
    }
  }
  return mirror(gram)
}

/**
 * Neighbouring rows of a matrix, gathered, because on wasm tfjs's slice copies the whole matrix first. There is no such
 * function for columns: no backend slices them quickly.
 */
export const slice = (x: tf.Tensor2D, first: number, end: number): tf.Tensor2D =>
  gatherRows(
    x,
    Int32Array.from({ length: end - first }, (_, row) => first + row),
  )

/**
 * Each sample's sum over its tokens: N vectors of D.
 *
 * @param offsets [N + 1], sample n has the rows offsets[n] … offsets[n + 1] − 1
 */
const sumsBySample = (x_TD: tf.Tensor2D, offsets: Int32Array): readonly Float32Array[] => {
  const n = offsets.length - 1
  const d = x_TD.shape[1]
  const sums_ND = tf.tidy(() => {
    const sums = Array.from({ length: n }, (_, i) =>
      tf.tidy(() => sumRowsKernel(slice(x_TD, offsets[i]!, offsets[i + 1]!))),
    )
    return tf.stack(sums).dataSync<"float32">()
  })
  return Array.from({ length: n }, (_, i) => sums_ND.subarray(i * d, (i + 1) * d))
}

/**
 * The Gram matrix of each sample's sum over its tokens, of x or of x · factor element by element: [N, N].
 *
 * @param offsets [N + 1], sample n has the rows offsets[n] … offsets[n + 1] − 1
 */
export const sumsGram = (
  x_TD: tf.Tensor2D,
  offsets: Int32Array,
  factor_TD: tf.Tensor2D | undefined,
): Float64Array => {
  if (factor_TD === undefined) return gramOf(sumsBySample(x_TD, offsets))
  const product_TD: tf.Tensor2D = tf.mul(x_TD, factor_TD)
  const gram = gramOf(sumsBySample(product_TD, offsets))
  product_TD.dispose()
  return gram
}
