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
      expect(Math.abs(globalNorm(gradients) - expected)).toBeLessThan(1e-6 * Math.max(1, expected))
      disposeGradients(gradients)
    }
    expect(tf.memory().numTensors).toBe(before)
  })

  test("clipping scales down to the maximum, never up", () => {
    expect(clippingScale(0.5, 1)).toBe(1)
    expect(clippingScale(0, 1)).toBe(1)
    expect(clippingScale(4, 1) * 4).toBeCloseTo(1, 5)
  })
})
