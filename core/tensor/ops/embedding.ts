import type * as tf from "@tensorflow/tfjs-core"
import { differentiable } from "../differentiable.ts"
import { currentTap, differentiatedBy, gradientsOf } from "../tap.ts"
import { gatherRows, scatterAddRows } from "./rows.ts"

/**
 * The table's rows for the ids of T tokens. The table's gradient is dense, [V, H].
 *
 * @param name under which the op reports to a tap
 * @throws RangeError for an id outside the table
 */
export const embedding = (table_VH: tf.Tensor2D, ids_T: Int32Array, name?: string): tf.Tensor2D => {
  const tap = currentTap()
  return differentiable(
    differentiatedBy(tap, [], [table_VH]),
    (given) => ({ y: gatherRows(given(table_VH), ids_T), saved: {} }),
    (dy_TH) => {
      if (tap !== undefined && name !== undefined) {
        tap.receive({ op: "embedding", name, ids_T, outputGradient_TH: dy_TH })
      }
      return gradientsOf(tap, [], () => [scatterAddRows(dy_TH, ids_T, table_VH.shape[0])])
    },
  )
}
