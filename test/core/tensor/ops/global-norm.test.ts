import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { clippingScale, globalNorm } from "../../../../core/tensor/ops/global-norm.ts"
import { disposeGradients } from "../../../../core/tensor/parameters.ts"
import { noise } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

onEveryDefinition("globalNorm", () => {
  test("is the norm of all gradients as one vector", () => {
    const before = tf.memory().numTensors
    for (const sizes of [[], [0], [1], [15, 17], [33, 2, 1]]) {
      const gradients = new Map(sizes.map((size, site) => [`g${site}`, tf.tensor1d(noise(site, size))]))
      const squares = sizes.flatMap((size, site) => [...noise(site, size)].map((value) => value ** 2))
      const expected = Math.sqrt(squares.reduce((sum, value) => sum + value, 0))
      const norm = globalNorm(gradients)
      expect(norm.shape).toEqual([])
      expect(Math.abs(norm.dataSync()[0]! - expected)).toBeLessThan(1e-6 * Math.max(1, expected))
      norm.dispose()
      disposeGradients(gradients)
    }
    expect(tf.memory().numTensors).toBe(before)
  })

  test("is not a number if a number that it watches is not finite, and else the same", () => {
    const before = tf.memory().numTensors
    const gradients = new Map([["g", tf.tensor1d([3, -4])]])
    for (const [values, expected] of [
      [[], 5],
      [[0, -1e30, 7], 5],
      [[1, Number.NaN], Number.NaN],
      [[Number.POSITIVE_INFINITY, 1], Number.NaN],
      [[Number.NEGATIVE_INFINITY], Number.NaN],
    ] as const) {
      const watched = values.map((value) => tf.scalar(value))
      const norm = globalNorm(gradients, watched)
      expect(norm.dataSync()[0]).toBe(expected)
      tf.dispose([norm, watched])
    }
    disposeGradients(gradients)
    expect(tf.memory().numTensors).toBe(before)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("of gradients with %p is not finite", (value) => {
    const gradients = new Map([
      ["a", tf.tensor1d([3, value])],
      ["b", tf.tensor1d([1])],
    ])
    const norm = globalNorm(gradients)
    expect(norm.dataSync()[0]).toBe(value)
    tf.dispose([norm, ...gradients.values()])
  })

  test("clipping scales down to the maximum, never up", () => {
    expect(clippingScale(0.5, 1)).toBe(1)
    expect(clippingScale(0, 1)).toBe(1)
    expect(clippingScale(4, 1) * 4).toBeCloseTo(1, 5)
  })
})
