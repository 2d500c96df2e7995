import { expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { tanh } from "../../../../core/tensor/ops/tanh.ts"
import { holdAgainstFloat64 } from "../against-float64.ts"
import { onEveryDefinition } from "../every-definition.ts"

/** (e²ˣ − 1) / (e²ˣ + 1) in float64. */
const exact = (x: number): number => Math.expm1(2 * x) / (Math.exp(2 * x) + 1)

onEveryDefinition("tanh", () => {
  test.each([1, 15, 33])("%i numbers and their gradients", (count) => {
    holdAgainstFloat64({
      inputs: { x: { rows: 1, columns: count, scale: 2 } },
      op: (get) => tanh(get("x")),
      exact: (get) => get("x").values.map(exact),
      tolerance: 2e-6,
    })
  })

  test("saturates at infinities, and NaN stays", () => {
    tf.tidy(() => {
      const points = [Number.NEGATIVE_INFINITY, -40, 40, Number.POSITIVE_INFINITY]
      expect([...tanh(tf.tensor1d(points)).dataSync()]).toEqual([-1, -1, 1, 1])
      expect(tanh(tf.scalar(Number.NaN)).dataSync()[0]).toBeNaN()
    })
  })
})
