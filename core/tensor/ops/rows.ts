import * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { defineKernel } from "../kernel.ts"

/** Rows of a table by index, [N, H]; every index must be inside the table. */
export const gatherRowsKernel = defineKernel(
  "gatherRows",
  (table_VH: tf.Tensor2D, ids_N: Int32Array): tf.Tensor2D => tf.gather(table_VH, tf.tensor1d(ids_N, "int32")),
)

/** Rows of a table by index. @throws RangeError for an index outside it, where tfjs would read other memory */
export const gatherRows = (table_VH: tf.Tensor2D, ids_N: Int32Array): tf.Tensor2D => {
  const rows = table_VH.shape[0]
  for (const id of ids_N) {
    if (id < 0 || id >= rows) {
      throw new RangeError(`expected an index inside the table, found row ${id} of a table of ${rows} rows`)
    }
  }
  return gatherRowsKernel(table_VH, ids_N)
}

/** out[ids[n]] = Σ x[n] over a zero [rows, H]. */
export const scatterAddRowsKernel = defineKernel(
  "scatterAddRows",
  (x_NH: tf.Tensor2D, ids_N: Int32Array, rows: number): tf.Tensor2D => {
    // Rows of the same id are added by a product with a 0/1 matrix, so that the scatter sees each id once: duplicates
    // would be added in whatever order the device's threads run.
    const unique = [...new Set(ids_N)]
    const slotOf = new Map(unique.map((id, slot) => [id, slot]))
    const selection_UN = new Float32Array(unique.length * ids_N.length)
    for (const [n, id] of ids_N.entries()) selection_UN[slotOf.get(id)! * ids_N.length + n] = 1
    const sums_UH = tf.matMul(tf.tensor2d(selection_UN, [unique.length, ids_N.length]), x_NH)
    return tf.scatterND(tf.tensor2d(unique, [unique.length, 1], "int32"), sums_UH, [rows, x_NH.shape[1]])
  },
)

/** Rows of a matrix, in the order of `indices`; a row may be taken more than once. */
export const rows = (x_TH: tf.Tensor2D, indices: ArrayLike<number>): tf.Tensor2D => {
  const ids = Int32Array.from(indices)
  return differentiable(
    [x_TH],
    (given) => ({ y: gatherRows(given(x_TH), ids), saved: {} }),
    (dy_NH) => [scatterAddRows(dy_NH, ids, x_TH.shape[0])],
  )
}

/** out[ids[n]] = Σ x[n] over a zero [rows, H]: the gradient of taking rows. */
export const scatterAddRows = (x_NH: tf.Tensor2D, ids: Int32Array, rows: number): tf.Tensor2D =>
  differentiable(
    [x_NH],
    (given) => ({ y: scatterAddRowsKernel(given(x_NH), ids, rows), saved: {} }),
    (dy_TH) => [gatherRows(dy_TH, ids)],
  )
