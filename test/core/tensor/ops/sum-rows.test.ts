import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { sumRowsKernel } from "../../../../core/tensor/ops/sum-rows.ts"
import { noise } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

onEveryDefinition("sumRows", () => {
  test.each([
    [1, 1],
    [1, 17],
    [15, 4],
    [33, 16],
  ])("%i rows of %i numbers", (rows, columns) => {
    const before = tf.memory().numTensors
    const x = noise(1, rows * columns)
    const { shape, sums } = tf.tidy(() => {
      const found = sumRowsKernel(tf.tensor2d(x, [rows, columns]))
      return { shape: found.shape, sums: found.dataSync() }
    })
    expect(shape).toEqual([columns])
    for (let column = 0; column < columns; column++) {
      let sum = 0
      for (let row = 0; row < rows; row++) sum += x[row * columns + column]!
      expect(Math.abs(sums[column]! - sum)).toBeLessThan(1e-5)
    }
    expect(tf.memory().numTensors).toBe(before)
  })
})
