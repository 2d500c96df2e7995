import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { layerNorm } from "../../../../core/tensor/ops/layer-norm.ts"
import { at, holdAgainstFloat64, matrix } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

onEveryDefinition("layerNorm", () => {
  test.each([
    [1, 2],
    [1, 17],
    [15, 33],
    [17, 16],
  ])("%i tokens, %i features", (tokens, hidden) => {
    holdAgainstFloat64({
      inputs: {
        x: { rows: tokens, columns: hidden, scale: 3 },
        gamma: { rows: 1, columns: hidden, vector: true },
        beta: { rows: 1, columns: hidden, vector: true },
      },
      op: (get) => layerNorm(get("x"), get("gamma"), get("beta"), 1e-2),
      exact: (get) =>
        matrix(tokens, hidden, (t, h) => {
          const row = get("x").values.subarray(t * hidden, (t + 1) * hidden)
          const mean = row.reduce((sum, x) => sum + x, 0) / hidden
          const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / hidden
          const normalised = (row[h]! - mean) / Math.sqrt(variance + 1e-2)
          return normalised * at(get("gamma"), 0, h) + at(get("beta"), 0, h)
        }).values,
      tolerance: 5e-6,
    })
  })

  test("a large common offset does not hide the variance", () => {
    const [deviation] = tf.tidy(() => {
      const x = tf.tensor2d([[1000, 1001, 1002, 1003]])
      return layerNorm(x, tf.ones([4]), tf.zeros([4]), 1e-12).dataSync()
    })
    expect(deviation).toBeCloseTo(-1.5 / Math.sqrt(1.25), 5)
  })
})
