import { beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../core/tensor/backend.ts"
import { twiceDifferentiable } from "../../../core/tensor/differentiable.ts"
import { rows } from "../../../core/tensor/ops/rows.ts"
import { tanh } from "../../../core/tensor/ops/tanh.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"

beforeAll(() => Effect.runPromise(startBackend(cpu)))

const points = [-1.5, -0.2, 0, 0.7, 2]

/** d²f/dx² at each point, for a function that acts element by element. */
const second = (f: (x: tf.Tensor1D) => tf.Tensor): readonly number[] =>
  twiceDifferentiable(() =>
    tf.tidy(() => {
      const slope = tf.grad((x: tf.Tensor) => tf.sum(f(x as tf.Tensor1D)))
      return [
        ...tf
          .grad((x: tf.Tensor) => tf.sum(slope(x)))(tf.tensor1d(points))
          .dataSync(),
      ]
    }),
  )

describe("a gradient that is differentiated", () => {
  test("of tanh is −2 tanh (1 − tanh²), and tfjs's own has none", () => {
    for (const [at, found] of second(tanh).entries()) {
      const y = Math.tanh(points[at]!)
      expect(found).toBeCloseTo(-2 * y * (1 - y * y), 5)
    }
    expect(() => second(tf.tanh)).toThrow("Cannot compute gradient")
  })

  test("of the square of rows counts a row as often as it was taken", () => {
    const hessian = twiceDifferentiable(() =>
      tf.tidy(() => {
        const slope = tf.grad((x: tf.Tensor) => tf.sum(tf.square(rows(x as tf.Tensor2D, [1, 0, 1]))))
        return [
          ...tf
            .grad((x: tf.Tensor) => tf.sum(slope(x)))(tf.tensor2d([[1], [2], [3]]))
            .dataSync(),
        ]
      }),
    )
    expect(hessian).toEqual([2, 4, 0])
  })

  test("leaves no tensor behind, and nothing changed after an error", () => {
    const before = tf.memory().numTensors
    second(tanh)
    expect(() =>
      twiceDifferentiable(() => {
        throw new Error("stop")
      }),
    ).toThrow("stop")
    expect(tf.memory().numTensors).toBe(before)
    const first = tf.tidy(() => [...tf.grad(tanh)(tf.tensor1d(points)).dataSync()])
    for (const [at, found] of first.entries()) expect(found).toBeCloseTo(1 - Math.tanh(points[at]!) ** 2, 6)
  })
})
