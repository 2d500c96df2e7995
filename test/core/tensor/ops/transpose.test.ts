import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { transposeKernel } from "../../../../core/tensor/ops/transpose.ts"
import { matrix, noise, transposed } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

onEveryDefinition("transpose", () => {
  test.each([
    [1, 1],
    [1, 17],
    [15, 4],
    [33, 16],
    [0, 3],
  ])("%i rows of %i numbers", (rows, columns) => {
    const before = tf.memory().numTensors
    const x = noise(1, rows * columns)
    const { shape, values } = tf.tidy(() => {
      const found = transposeKernel(tf.tensor2d(x, [rows, columns]))
      return { shape: found.shape, values: found.dataSync() }
    })
    const expected = transposed(matrix(rows, columns, (row, column) => x[row * columns + column]!))
    expect(shape).toEqual([columns, rows])
    expect([...values]).toEqual([...expected.values])
    expect(tf.memory().numTensors).toBe(before)
  })
})
