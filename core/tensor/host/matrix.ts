import * as tf from "@tensorflow/tfjs-core"
import { implement } from "../kernel.ts"
import { gatherRowsKernel, scatterAddRowsKernel } from "../ops/rows.ts"
import { sumRowsKernel } from "../ops/sum-rows.ts"
import { transposeKernel } from "../ops/transpose.ts"
import { allocate, view } from "./memory.ts"

const sumRows = implement(sumRowsKernel, (x_TH) => {
  const [tokens, hidden] = x_TH.shape
  const sum_H = allocate<tf.Tensor1D>([hidden])
  const sums = new Float64Array(hidden)
  const x = view(x_TH)
  for (let t = 0, index = 0; t < tokens; t++) {
    for (let h = 0; h < hidden; h++, index++) sums[h]! += x[index]!
  }
  view(sum_H).set(sums)
  return sum_H
})

/**
 * tfjs's wasm transpose is faster, unless the distance between its writes, a row of the result, is a multiple of this
 * many numbers: they then fall on the same few lines of the first-level cache, and it is up to ten times slower.
 */
const strideThatCollides = 128

/** The side of a tile. Source and result tile fit in the first-level cache together: 32 x 32 floats are 4 KiB. */
const tile = 32

const transpose = implement(transposeKernel, (x_TH) => {
  const [rows, columns] = x_TH.shape
  if (rows % strideThatCollides !== 0) return tf.transpose(x_TH)
  const y_HT = allocate<tf.Tensor2D>([columns, rows])
  const x = view(x_TH)
  const y = view(y_HT)
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(rows, top + tile)
    for (let left = 0; left < columns; left += tile) {
      const right = Math.min(columns, left + tile)
      for (let column = left; column < right; column++) {
        for (let row = top; row < bottom; row++) y[column * rows + row] = x[row * columns + column]!
      }
    }
  }
  return y_HT
})

const gatherRows = implement(gatherRowsKernel, (table_VH, ids_N) => {
  const hidden = table_VH.shape[1]
  const rows_NH = allocate<tf.Tensor2D>([ids_N.length, hidden])
  const table = view(table_VH)
  const rows = view(rows_NH)
  for (let n = 0; n < ids_N.length; n++) {
    const start = ids_N[n]! * hidden
    rows.set(table.subarray(start, start + hidden), n * hidden)
  }
  return rows_NH
})

const scatterAddRows = implement(scatterAddRowsKernel, (x_NH, ids_N, rows) => {
  const hidden = x_NH.shape[1]
  const table_VH = allocate<tf.Tensor2D>([rows, hidden])
  const x = view(x_NH)
  const table = view(table_VH).fill(0)
  for (let n = 0, index = 0; n < ids_N.length; n++) {
    const start = ids_N[n]! * hidden
    for (let h = 0; h < hidden; h++, index++) table[start + h]! += x[index]!
  }
  return table_VH
})

export const matrixImplementations = [sumRows, transpose, gatherRows, scatterAddRows]
