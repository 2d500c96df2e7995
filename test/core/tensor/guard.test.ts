import { afterEach, beforeEach, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Cause, Effect, Exit } from "effect"
import type { Guard } from "../../../core/api/watch.ts"
import { startBackend } from "../../../core/tensor/backend.ts"
import { borrowKernel } from "../../../core/tensor/borrow.ts"
import { guardOf } from "../../../core/tensor/guard.ts"
import { implement, registerKernels } from "../../../core/tensor/kernel.ts"
import { Parameters } from "../../../core/tensor/parameters.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { noise } from "./against-float64.ts"
import { onEveryDefinition } from "./every-definition.ts"

onEveryDefinition("a guard", () => {
  let before: number
  let parameters: Parameters
  let ids: Int32Array
  let guard: Guard
  beforeEach(() => {
    before = tf.memory().numTensors
    parameters = new Parameters()
    parameters.set("a", tf.tensor2d(noise(1, 35), [5, 7]))
    parameters.set("b", tf.tensor1d(noise(2, 3)))
    ids = Int32Array.of(1, 2, 3)
    guard = guardOf({ parameters, arrays: { "the ids": ids.subarray(1) } })
  })
  afterEach(() => {
    parameters.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  /** The names of the parts whose digests `body` changes; those of parts that are gone with a minus. */
  const changedBy = async (body: () => unknown): Promise<readonly string[]> => {
    const first = await Effect.runPromise(guard.digests)
    await body()
    const second = await Effect.runPromise(guard.digests)
    return [...first].flatMap(([name, digest]) => {
      if (!second.has(name)) return [`- ${name}`]
      return second.get(name) === digest ? [] : [name]
    })
  }

  test("sees nothing where nothing was changed", async () => {
    expect(
      await changedBy(() => {
        tf.tidy(() => void tf.mul(parameters.get("a"), 2))
        parameters.get("a").dataSync().slice().fill(0)
        parameters.clone().dispose()
        ids[0] = 7
      }),
    ).toEqual([])
  })

  test("sees the lowest bit of a value written in place", async () => {
    const flip = async () => {
      const values = await borrowKernel(parameters.get("a"))
      new Int32Array(values.buffer, values.byteOffset, values.length)[34]! ^= 1
    }
    // On a backend that only lends copies, nothing can have changed. A GPU has all values once they are digested.
    await Effect.runPromise(guard.digests)
    const value = () => parameters.get("a").dataSync()[34]
    const given = value()
    await flip()
    const shares = value() !== given
    expect(await changedBy(flip)).toEqual(shares ? ["the parameter a"] : [])
  })

  test("sees a value written into the array of dataSync, where that is the tensor's memory", async () => {
    const array = parameters.get("b").dataSync()
    const shares = parameters.get("b").dataSync() === array
    expect(await changedBy(() => (parameters.get("b").dataSync()[1] = 9))).toEqual(
      shares ? ["the parameter b"] : [],
    )
    if (tf.getBackend() === "cpu") expect(shares).toBe(true)
  })

  test("sees another tensor in the place of one, whatever its values", async () => {
    expect(await changedBy(() => parameters.set("b", parameters.get("b").clone()))).toEqual([
      "the parameter b",
    ])
  })

  test("sees a shape that was written, and memory that was disposed of", async () => {
    const a = parameters.get("a")
    expect(await changedBy(() => a.shape.reverse())).toEqual(["the parameter a"])
    a.shape.reverse()
    expect(await changedBy(() => tf.backend().disposeData(a.dataId, true))).toEqual(["- the parameter a"])
  })

  test("sees a parameter that was disposed of, and an array that was written", async () => {
    expect(
      await changedBy(() => {
        parameters.get("a").dispose()
        ids[2] = 7
      }),
    ).toEqual(["- the parameter a", "the ids"])
  })

  test("disposes of what an observation leaves behind, and counts it", async () => {
    const leave = Effect.gen(function* () {
      tf.tensor1d([1, 2])
      yield* Effect.yieldNow
      return tf.mul(parameters.get("a"), 2).shape
    })
    const { ended, left } = await Effect.runPromise(guard.enclose(leave))
    expect([Exit.isSuccess(ended) && ended.value, left]).toEqual([[5, 7], 2])
    expect(tf.memory().numTensors).toBe(before + 2)
    expect(parameters.get("a").isDisposed).toBe(false)
  })

  test("disposes of it also if the observation fails or throws", async () => {
    const failing = Effect.sync(() => {
      tf.tensor1d([1, 2])
      throw new Error("no")
    })
    const { ended, left } = await Effect.runPromise(guard.enclose(failing))
    expect([Exit.isFailure(ended), left]).toEqual([true, 1])
    expect(tf.memory().numTensors).toBe(before + 2)
  })

  test("leaves tfjs's flags and scopes as they were", async () => {
    const { state } = tf.engine()
    const scopes = [...state.scopeStack]
    const meddling = Effect.sync(() => {
      tf.env().set("DEBUG", true)
      tf.engine().startScope()
      tf.engine().startScope()
    })
    await Effect.runPromise(guard.enclose(meddling))
    expect(tf.env().getBool("DEBUG")).toBe(false)
    expect(state.scopeStack).toEqual(scopes)
    tf.engine().startScope()
    const outer = state.activeScope
    await Effect.runPromise(
      guard.enclose(
        Effect.sync(() => {
          tf.engine().endScope()
          tf.engine().endScope()
        }),
      ),
    )
    expect(state.activeScope).toBe(outer)
    tf.engine().endScope()
  })

  test("counts a tensor that was kept, and does not count tensors that were disposed of", async () => {
    let kept: tf.Tensor | undefined
    const keeping = Effect.sync(() => {
      kept = tf.tidy(() => tf.keep(tf.scalar(1)))
      tf.scalar(2).dispose()
    })
    expect((await Effect.runPromise(guard.enclose(keeping))).left).toBe(1)
    kept!.dispose()
  })
})

test("a guard whose device fails tells the failure, not that a parameter is gone", async () => {
  await Effect.runPromise(startBackend(cpu))
  const parameters = new Parameters()
  parameters.set("a", tf.tensor1d(noise(1, 3)))
  registerKernels("cpu", [implement(borrowKernel, () => Promise.reject(new Error("the device was lost")))])
  try {
    const found = await Effect.runPromise(Effect.exit(guardOf({ parameters, arrays: {} }).digests))
    expect(Exit.isFailure(found) && Cause.pretty(found.cause)).toContain("the device was lost")
  } finally {
    await Effect.runPromise(startBackend(cpu))
    parameters.dispose()
  }
})
