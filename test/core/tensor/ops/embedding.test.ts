import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { embedding } from "../../../../core/tensor/ops/embedding.ts"
import { at, holdAgainstFloat64, matrix } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

onEveryDefinition("embedding", () => {
  test.each([
    { count: 5, hidden: 3, ids: [4] },
    { count: 1, hidden: 1, ids: [0, 0, 0] },
    { count: 17, hidden: 15, ids: [3, 16, 3, 0, 3] },
  ])("rows $ids of $count", ({ count, hidden, ids }) => {
    holdAgainstFloat64({
      inputs: { table: { rows: count, columns: hidden } },
      op: (get) => embedding(get("table"), Int32Array.from(ids)),
      exact: (get) => matrix(ids.length, hidden, (n, h) => at(get("table"), ids[n]!, h)).values,
    })
  })

  test("a row outside the table is refused, with its index", () => {
    tf.tidy(() => {
      expect(() => embedding(tf.zeros([4, 2]), new Int32Array([1, 4]))).toThrow("row 4 of a table of 4 rows")
      expect(() => embedding(tf.zeros([4, 2]), new Int32Array([-1]))).toThrow("row -1 of a table of 4 rows")
    })
  })
})
