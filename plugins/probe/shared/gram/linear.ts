/**
 * The Gram matrix of the per-sample gradients of a linear layer's weight, by two methods that agree up to rounding.
 * With inputs aᵢₜ and output gradients bᵢₜ of sample i's tokens, its gradient is Gᵢ = Σ_t bᵢₜ aᵢₜᵀ.
 * Shapes: T tokens of all samples, N samples, I inputs, O outputs. All factors are transposed first: the wasm backend
 * multiplies transposed factors ten times slower.
 */
import * as tf from "@tensorflow/tfjs-core"
import { gatherRows } from "../../../../core/tensor/ops/rows.ts"
import { transposeKernel } from "../../../../core/tensor/ops/transpose.ts"
import { addTo, mirror, slice } from "./gram.ts"
import { type GramMethod, type LinearShape, rowsAtATime, rowsInASum, tilesOf } from "./gram-method.ts"

export interface Factors {
  readonly input_TI: tf.Tensor2D
  readonly outputGradient_TO: tf.Tensor2D
  /** [N + 1], sample n has the rows offsets[n] … offsets[n + 1] − 1, possibly none. */
  readonly offsets: Int32Array
}

/**
 * K_ij = ⟨Gᵢ, Gⱼ⟩ of N samples' gradients, by pairs of tokens or from the gradients themselves: [N, N], symmetric,
 * row-major.
 */
export const linearGram = (factors: Factors, method: GramMethod): Float64Array => {
  const gram = new Float64Array((factors.offsets.length - 1) ** 2)
  tf.tidy(() => {
    const add = method === "token" ? addByTokens : addDirectly
    add(gram, factors)
  })
  return mirror(gram)
}

/** Which tokens belong to which sample: [N, T] of 0 and 1. */
const membership = (offsets: Int32Array): tf.Tensor2D => {
  const n = offsets.length - 1
  const first = offsets[0]!
  const tokens = offsets[n]! - first
  const member_NT = new Float32Array(n * tokens)
  for (let i = 0; i < n; i++) {
    member_NT.fill(1, i * tokens + offsets[i]! - first, i * tokens + offsets[i + 1]! - first)
  }
  return tf.tensor2d(member_NT, [n, tokens])
}

const lengthsOf = (offsets: Int32Array): readonly number[] =>
  Array.from({ length: offsets.length - 1 }, (_, n) => offsets[n + 1]! - offsets[n]!)

export const shapeOf = ({ input_TI, outputGradient_TO, offsets }: Factors): LinearShape => ({
  inputs: input_TI.shape[1],
  outputs: outputGradient_TO.shape[1],
  lengths: lengthsOf(offsets),
})

/**
 * K_ij = Σ_{t,u} (aᵢₜ·aⱼᵤ)(bᵢₜ·bⱼᵤ) in the upper triangle, tile by tile from a number for each pair of tokens; no
 * gradient is ever formed. Sums over the tokens of sample i are in float64.
 */
const addByTokens = (gram: Float64Array, { input_TI, outputGradient_TO, offsets }: Factors): void => {
  const n = offsets.length - 1
  const tiles = tilesOf(lengthsOf(offsets))
    .filter(({ tokens }) => tokens > 0)
    .map(({ first, end }) => ({ first, end, from: offsets[first]!, to: offsets[end]! }))
  const transposed = tiles.map(({ first, end, from, to }) => ({
    input: transposeKernel(slice(input_TI, from, to)),
    gradient: transposeKernel(slice(outputGradient_TO, from, to)),
    member: transposeKernel(membership(offsets.subarray(first, end + 1))),
  }))
  for (const [index, one] of tiles.entries()) {
    const input = slice(input_TI, one.from, one.to)
    const gradient = slice(outputGradient_TO, one.from, one.to)
    for (let at = index; at < tiles.length; at++) {
      const other = tiles[at]!
      const sums = tf.tidy(() => {
        const inputs = tf.matMul(input, transposed[at]!.input)
        const gradients = tf.matMul(gradient, transposed[at]!.gradient)
        return tf.matMul(tf.mul(inputs, gradients), transposed[at]!.member).dataSync()
      })
      const width = other.end - other.first
      for (let i = one.first; i < one.end; i++) {
        for (let j = other.first; j < other.end; j++) {
          let sum = 0
          for (let t = offsets[i]!; t < offsets[i + 1]!; t++) {
            sum += sums[(t - one.from) * width + j - other.first]!
          }
          gram[i * n + j] = sum
        }
      }
    }
    tf.dispose([input, gradient])
  }
}

/** K_ij = ⟨Gᵢ, Gⱼ⟩ from the gradients of all samples, some rows of the weight at a time. */
const addDirectly = (gram: Float64Array, factors: Factors): void => {
  const { input_TI, outputGradient_TO, offsets } = factors
  const shape = shapeOf(factors)
  const { inputs, outputs } = shape
  const samples = shape.lengths.map((length, i) => ({
    length,
    input_LI: slice(input_TI, offsets[i]!, offsets[i + 1]!),
    gradient_OL: tf.tidy(() => transposeKernel(slice(outputGradient_TO, offsets[i]!, offsets[i + 1]!))),
  }))
  const atATime = rowsAtATime(shape)
  const inASum = rowsInASum(shape)
  for (let first = 0; first < outputs; first += atATime) {
    const rows = Math.min(atATime, outputs - first)
    // Row o of sample i's gradient is row i · rows + o: [N · rows, I].
    const gradients = tf.tidy(() =>
      tf.concat(
        samples.map(({ length, input_LI, gradient_OL }) =>
          length === 0
            ? tf.zeros<tf.Rank.R2>([rows, inputs])
            : tf.matMul<tf.Tensor2D>(slice(gradient_OL, first, first + rows), input_LI),
        ),
      ),
    )
    for (let row = 0; row < rows; row += inASum) {
      const count = Math.min(inASum, rows - row)
      addTo(gram, productsOfRows(gradients, samples.length, row, count))
    }
    gradients.dispose()
  }
}

/** The inner products of all samples' gradients over some rows of the weight, [N, N]. */
const productsOfRows = (gradients: tf.Tensor2D, n: number, first: number, count: number): Float32Array =>
  tf
    .tidy(() => {
      const [all, inputs] = gradients.shape
      const ids = Int32Array.from(
        { length: n * count },
        (_, at) => Math.floor(at / count) * (all / n) + first + (at % count),
      )
      const rows_NK: tf.Tensor2D = tf.reshape(gatherRows(gradients, ids), [n, count * inputs])
      return tf.matMul(rows_NK, transposeKernel(rows_NK))
    })
    .dataSync<"float32">()
