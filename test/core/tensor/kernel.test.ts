import { afterEach, beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../core/tensor/backend.ts"
import { hostKernels } from "../../../core/tensor/host/kernels.ts"
import { defineKernel, implement, registerKernels } from "../../../core/tensor/kernel.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { wasm } from "../../../plugins/backend/wasm.ts"

const double = defineKernel(
  "double",
  (x: tf.Tensor, addend?: number): tf.Tensor => tf.add(tf.mul(x, 2), addend ?? 0),
)

const numberOf = (tensor: tf.Tensor): number => {
  const [value] = tensor.dataSync()
  tensor.dispose()
  return value!
}

describe("a kernel", () => {
  beforeAll(async () => {
    await Effect.runPromise(startBackend(wasm))
    await Effect.runPromise(startBackend(cpu))
  })
  afterEach(() => {
    for (const backend of ["cpu", "wasm"]) registerKernels(backend, hostKernels)
  })

  const run = (): readonly number[] =>
    tf.tidy(() => [double(tf.scalar(3)), double(tf.scalar(3), 1)].map(numberOf))

  test("has its name, and runs its definition on a backend that does not implement it", () => {
    expect(double.name).toBe("double")
    expect(run()).toEqual([6, 7])
  })

  test("runs the implementation of the backend in use, with all its arguments", () => {
    registerKernels("cpu", [implement(double, (x, addend) => tf.add(x, 100 + (addend ?? 0)))])
    expect(run()).toEqual([103, 104])
    expect(numberOf(tf.tidy(() => double.definition(tf.scalar(3))))).toBe(6)
    tf.setBackend("wasm")
    expect(run()).toEqual([6, 7])
    tf.setBackend("cpu")
    expect(run()).toEqual([103, 104])
  })

  test("runs its definition again once the backend is registered without it", () => {
    registerKernels("cpu", [implement(double, (x) => tf.neg(x))])
    expect(run()).toEqual([-3, -3])
    registerKernels("cpu", [])
    expect(run()).toEqual([6, 7])
  })

  test("is identified by its object, not by its name", () => {
    const other = defineKernel("double", (x: tf.Tensor): tf.Tensor => tf.mul(x, 2))
    registerKernels("cpu", [implement(other, (x) => tf.neg(x))])
    expect(run()).toEqual([6, 7])
    expect(tf.tidy(() => numberOf(other(tf.scalar(3))))).toBe(-3)
  })

  test("implemented twice by a backend is refused, and the backend keeps its implementations", () => {
    const negated = implement(double, (x) => tf.neg(x))
    registerKernels("cpu", [negated])
    const sameName = implement(defineKernel("double", tf.square<tf.Tensor>), tf.square)
    for (const twice of [negated, sameName]) {
      expect(() => registerKernels("cpu", [negated, twice])).toThrow(
        "the backend cpu implements the kernel double twice; leave one of the two out",
      )
    }
    expect(run()).toEqual([-3, -3])
  })

  test("accepts no implementation of another type", () => {
    // The type checker does the testing: without its comment each of these lines would be an error.
    const refused = [
      // @ts-expect-error: returns no tensor
      implement(double, () => 3),
      // @ts-expect-error: takes another first argument
      implement(double, (x: string) => tf.scalar(x.length)),
      // @ts-expect-error: takes more arguments than callers give
      implement(double, (x: tf.Tensor, _addend: number | undefined, _more: number) => x),
    ]
    for (const { kernel } of refused) expect(kernel).toBe(double)
  })
})
