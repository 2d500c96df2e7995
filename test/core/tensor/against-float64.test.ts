import { beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../core/tensor/backend.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { type Case, holdAgainstFloat64 } from "./against-float64.ts"

/** x², compared with x² + `wrong` · x. */
const square = (op: Case["op"], wrong = 0) =>
  holdAgainstFloat64({
    inputs: { x: { rows: 1, columns: 3 } },
    op,
    exact: (get) => get("x").values.map((x) => x * x + wrong * x),
  })

describe("the comparison with float64", () => {
  beforeAll(() => Effect.runPromise(startBackend(cpu)))

  test("accepts a right op", () => {
    square((get) => tf.square(get("x")))
  })

  test("notices a wrong value, and leaves no tensor over", () => {
    const before = tf.memory().numTensors
    expect(() => square((get) => tf.square(get("x")), 1e-4)).toThrow(/^the output\[0\] is .* and should be /)
    expect(tf.memory().numTensors).toBe(before)
  })

  test("notices a wrong gradient of a right value, and leaves no tensor over", () => {
    const before = tf.memory().numTensors
    const wrong = tf.customGrad((x) => {
      const input = x as tf.Tensor
      return {
        value: tf.square(input),
        gradFunc: (dy: tf.Tensor) => tf.mul(dy, tf.add(tf.mul(input, 2), 1e-4)),
      }
    })
    expect(() => square((get) => wrong(get("x")))).toThrow(/^the gradient of x\[0\] is .* and should be /)
    expect(tf.memory().numTensors).toBe(before)
  })

  test("notices a tensor left over", () => {
    const left: tf.Tensor[] = []
    expect(() =>
      square((get) => {
        left.push(tf.keep(tf.scalar(1)))
        return tf.square(get("x"))
      }),
    ).toThrow("toBe")
    // One of the value, one of the pass with the gradient.
    expect(left).toHaveLength(2)
    tf.dispose(left)
  })
})
