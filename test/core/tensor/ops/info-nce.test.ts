import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { infoNCE } from "../../../../core/tensor/ops/info-nce.ts"
import { holdAgainstFloat64 } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

onEveryDefinition("infoNCE", () => {
  test.each([
    [1, 5],
    [2, 1],
    [7, 17],
  ])("%i pairs of %i features", (count, width) => {
    holdAgainstFloat64({
      inputs: { z1: { rows: count, columns: width }, z2: { rows: count, columns: width } },
      op: (get) => infoNCE(get("z1"), get("z2"), 0.5),
      exact: (get) => {
        const cosine = (i: number, j: number) => {
          const a = get("z1").values.subarray(i * width, (i + 1) * width)
          const b = get("z2").values.subarray(j * width, (j + 1) * width)
          const dot = (u: Float64Array, v: Float64Array) => u.reduce((sum, x, k) => sum + x * v[k]!, 0)
          return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
        }
        let sum = 0
        for (let i = 0; i < count; i++) {
          let total = 0
          for (let j = 0; j < count; j++) total += Math.exp(cosine(i, j) / 0.5)
          sum += Math.log(total) - cosine(i, i) / 0.5
        }
        return [sum / count]
      },
    })
  })

  test("equal and orthogonal pairs have a closed form", () => {
    tf.tidy(() => {
      const z: tf.Tensor2D = tf.tensor2d([
        [3, 0],
        [0, 0.1],
      ])
      expect(infoNCE(z, z, 0.05).dataSync()[0]).toBeCloseTo(Math.log1p(Math.exp(-20)), 7)
    })
  })
})
