import { beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../core/tensor/backend.ts"
import { disposeGradients, Parameters, valueAndGradients } from "../../../core/tensor/parameters.ts"
import { wasm } from "../../../plugins/backend/wasm.ts"

beforeAll(() => Effect.runPromise(startBackend(wasm)))

const pair = () =>
  Parameters.fromHost([
    ["b", { shape: [2], values: new Float32Array([1, 2]) }],
    ["a", { shape: [1, 2], values: new Float32Array([3, 4]) }],
  ])

describe("parameters", () => {
  test("keep their order, shapes and values from the host and back", () => {
    const before = tf.memory().numTensors
    const parameters = pair()
    expect(parameters.names).toEqual(["b", "a"])
    expect(parameters.size).toBe(4)
    expect([...parameters.toHost()]).toEqual([
      ["b", { shape: [2], values: new Float32Array([1, 2]) }],
      ["a", { shape: [1, 2], values: new Float32Array([3, 4]) }],
    ])
    parameters.dispose()
    expect(parameters.names).toEqual([])
    expect(tf.memory().numTensors).toBe(before)
  })

  test("a clone is independent", () => {
    const before = tf.memory().numTensors
    const parameters = pair()
    const copy = parameters.clone()
    parameters.set("b", tf.tensor1d([9, 9]))
    expect([...copy.get("b").dataSync()]).toEqual([1, 2])
    parameters.dispose()
    expect([...copy.get("a").dataSync()]).toEqual([3, 4])
    copy.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  test("the arrays that they were made from are copied", async () => {
    const { cpu } = await import("../../../plugins/backend/cpu.ts")
    for (const backend of [cpu, wasm]) {
      await Effect.runPromise(startBackend(backend))
      const values = new Float32Array([1, 2])
      const parameters = Parameters.fromHost([["b", { shape: [2], values }]])
      values.fill(7)
      expect([...parameters.get("b").dataSync()]).toEqual([1, 2])
      parameters.dispose()
    }
  })

  test("set disposes of what it replaces, survives a tidy, and accepts the same tensor again", () => {
    const before = tf.memory().numTensors
    const parameters = pair()
    tf.tidy(() => parameters.set("b", tf.tensor1d([5, 6])))
    parameters.set("b", parameters.get("b"))
    expect([...parameters.get("b").dataSync()]).toEqual([5, 6])
    expect(tf.memory().numTensors).toBe(before + 2)
    parameters.dispose()
  })

  test("a set in which some are replaced shares the others and owns none", () => {
    const before = tf.memory().numTensors
    const parameters = Parameters.fromHost([
      ["a", { shape: [2], values: Float32Array.of(1, 2) }],
      ["b", { shape: [], values: Float32Array.of(3) }],
    ])
    const other = tf.tensor1d([5, 6])
    const replaced = parameters.replacing(new Map([["a", other]]))
    expect(replaced.names).toEqual(["a", "b"])
    expect(replaced.get("a")).toBe(other)
    expect(replaced.get("b")).toBe(parameters.get("b"))
    expect([...parameters.get("a").dataSync()]).toEqual([1, 2])
    other.dispose()
    parameters.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  test("an unknown name and a wrong shape are refused, and leave no tensor", () => {
    const before = tf.memory().numTensors
    const parameters = pair()
    expect(() => parameters.get("c")).toThrow("there is no parameter c")
    parameters.dispose()
    expect(() =>
      Parameters.fromHost([
        ["a", { shape: [1], values: new Float32Array(1) }],
        ["b", { shape: [2, 2], values: new Float32Array(3) }],
      ]),
    ).toThrow("parameter b has shape [2,2] and 3 values")
    expect(tf.memory().numTensors).toBe(before)
  })
})

describe("valueAndGradients", () => {
  test("gives the value and the gradients, and disposes of the rest", () => {
    const before = tf.memory().numTensors
    const parameters = pair()
    const { value, gradients } = valueAndGradients(
      () => tf.sum(tf.mul(tf.square(parameters.get("b")), tf.reshape(parameters.get("a"), [2]))),
      parameters,
    )
    expect(value.dataSync()[0]).toBe(1 * 3 + 4 * 4)
    expect([...gradients.get("b")!.dataSync()]).toEqual([6, 16])
    expect([...gradients.get("a")!.dataSync()]).toEqual([1, 4])
    expect(gradients.get("a")!.shape).toEqual([1, 2])
    expect(tf.memory().numTensors).toBe(before + 2 + 3)
    value.dispose()
    disposeGradients(gradients)
    parameters.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  test("gives no gradient of a parameter that the loss does not depend on, or that is not among the names", () => {
    const parameters = pair()
    const loss = () => tf.sum<tf.Scalar>(parameters.get("b"))
    const all = valueAndGradients(loss, parameters)
    expect([...all.gradients.keys()]).toEqual(["b"])
    const none = valueAndGradients(loss, parameters, ["a"])
    expect(none.gradients.size).toBe(0)
    for (const { value, gradients } of [all, none]) {
      value.dispose()
      disposeGradients(gradients)
    }
    parameters.dispose()
  })

  test("gradients that are one tensor can be disposed of one by one", () => {
    const before = tf.memory().numTensors
    const parameters = Parameters.fromHost([
      ["a", { shape: [2], values: new Float32Array(2) }],
      ["b", { shape: [2], values: new Float32Array(2) }],
    ])
    const { value, gradients } = valueAndGradients(
      () => tf.sum(tf.add(parameters.get("a"), parameters.get("b"))),
      parameters,
    )
    gradients.get("a")!.dispose()
    expect([...gradients.get("b")!.dataSync()]).toEqual([1, 1])
    gradients.get("b")!.dispose()
    value.dispose()
    parameters.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })
})
