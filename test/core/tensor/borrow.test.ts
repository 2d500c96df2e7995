import { expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { borrowKernel, writeTensors } from "../../../core/tensor/borrow.ts"
import { openSafetensors } from "../../../core/tensor/safetensors.ts"
import { noise } from "./against-float64.ts"
import { onEveryDefinition } from "./every-definition.ts"

onEveryDefinition("a borrowed tensor", () => {
  test("gives its values without making or losing a tensor", async () => {
    const before = tf.memory().numTensors
    const values = noise(1, 35)
    const tensor = tf.tensor2d(values, [5, 7])
    // A reshaped tensor shares the values.
    const reshaped = tf.reshape(tensor, [35])
    expect(Array.from(await borrowKernel(tensor))).toEqual([...values])
    expect(Array.from(await borrowKernel(reshaped))).toEqual([...values])
    tf.dispose([tensor, reshaped])
    expect(tf.memory().numTensors).toBe(before)
  })

  test("is saved in a file under its name", async () => {
    const folder = await fs.mkdtemp(join(tmpdir(), "kasosei-source-"))
    const path = join(folder, "tensors.safetensors")
    const tensors = { a: tf.tensor2d(noise(2, 6), [2, 3]), empty: tf.zeros([0, 4]), one: tf.scalar(3) }
    const named = Object.entries(tensors).map(([name, tensor]) => ({ name, tensor }))
    const read = Effect.gen(function* () {
      yield* writeTensors(path, named)
      const file = yield* openSafetensors(path)
      return yield* Effect.forEach(Object.keys(tensors), (name) => file.read(name))
    })
    const [a, empty, one] = await Effect.runPromise(Effect.scoped(read))
    expect(a!).toEqual(Float32Array.from(noise(2, 6)))
    expect([...empty!, ...one!]).toEqual([3])
    tf.dispose(tensors)
    await fs.rm(folder, { recursive: true })
  })
})
