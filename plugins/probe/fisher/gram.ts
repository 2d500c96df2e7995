/**
 * Gram matrices of per-sample gradients: K_ij = gᵢ · gⱼ, float64, row-major [N, N], symmetric to the bit.
 * Shapes: N samples, T tokens of all samples side by side, D features.
 */
import * as tf from "@tensorflow/tfjs-core"

/** Adds `addend` to `sum`, element by element. */
export const addTo = (sum: Float64Array, addend: ArrayLike<number>): void => {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + addend[i]!
}

/** Writes the upper triangle of a square matrix over its lower one. */
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
 * Each sample's sum over its tokens, N vectors of D: by a product with a 0/1 matrix, since reducing over rows is slow
 * on wasm.
 *
 * @param offsets [N + 1], sample n has the rows offsets[n] … offsets[n + 1] − 1
 */
export const sumsBySample = (x_TD: tf.Tensor2D, offsets: Int32Array): readonly Float32Array[] => {
  const sums_ND = tf.tidy(() => tf.matMul(membership(offsets), x_TD).dataSync<"float32">())
  const d = x_TD.shape[1]
  return Array.from({ length: offsets.length - 1 }, (_, n) => sums_ND.subarray(n * d, (n + 1) * d))
}

/** Which token is which sample's: [N, T] of 0 and 1. */
export const membership = (offsets: Int32Array): tf.Tensor2D => {
  const n = offsets.length - 1
  const first = offsets[0]!
  const tokens = offsets[n]! - first
  const member_NT = new Float32Array(n * tokens)
  for (let i = 0; i < n; i++) {
    member_NT.fill(1, i * tokens + offsets[i]! - first, i * tokens + offsets[i + 1]! - first)
  }
  return tf.tensor2d(member_NT, [n, tokens])
}
