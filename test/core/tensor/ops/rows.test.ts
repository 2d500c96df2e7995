import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { layerNorm } from "../../../../core/tensor/ops/layer-norm.ts"
import { linearGelu } from "../../../../core/tensor/ops/linear.ts"
import { rows } from "../../../../core/tensor/ops/rows.ts"
import { at, holdAgainstFloat64, matrix } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

onEveryDefinition("rows", () => {
  test.each([
    { count: 5, hidden: 3, ids: [4] },
    { count: 1, hidden: 1, ids: [0, 0, 0] },
    { count: 17, hidden: 15, ids: [3, 16, 3, 0, 3] },
  ])("rows $ids of $count", ({ count, hidden, ids }) => {
    holdAgainstFloat64({
      inputs: { table: { rows: count, columns: hidden } },
      op: (get) => rows(get("table"), ids),
      exact: (get) => matrix(ids.length, hidden, (n, h) => at(get("table"), ids[n]!, h)).values,
    })
  })

  test("a row outside the table is refused, with its index", () => {
    tf.tidy(() => {
      expect(() => rows(tf.zeros([4, 2]), [-1])).toThrow("row -1 of a table of 4 rows")
      expect(() => rows(tf.zeros([4, 2]), [4])).toThrow("row 4 of a table of 4 rows")
    })
  })

  test("no rows pass through the ops of a masked language model's head", () => {
    const before = tf.memory().numTensors
    const shapes = tf.tidy(() => {
      const none = rows(tf.ones([3, 4]), [])
      const hidden = linearGelu(none, tf.ones([4, 4]), tf.ones([4]))
      return [none.shape, layerNorm(hidden, tf.ones([4]), tf.zeros([4]), 1e-12).shape]
    })
    expect(shapes).toEqual([
      [0, 4],
      [0, 4],
    ])
    expect(tf.memory().numTensors).toBe(before)
  })
})
