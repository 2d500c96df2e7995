import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect, Result } from "effect"
import { type Backend, BackendUnavailable, startBackend } from "../../../core/tensor/backend.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { native } from "../../../plugins/backend/native.ts"
import { tensorflow } from "../../../plugins/backend/tensorflow.ts"
import { wasm } from "../../../plugins/backend/wasm.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const root = join(import.meta.dir, "../../..")

describe("startBackend", () => {
  test.each([cpu, wasm])("$name computes, with gradients", async (backend) => {
    await Effect.runPromise(backend.check)
    await Effect.runPromise(startBackend(backend))
    expect(tf.getBackend()).toBe(backend.name)
    const derivative = tf.tidy(() =>
      tf
        .grad((x) => tf.sum(tf.square(x)))(tf.tensor1d([1, -2]))
        .dataSync(),
    )
    expect([...derivative]).toEqual([2, -4])
  })

  test("a backend that tfjs cannot initialise is an error that names it", async () => {
    const failing: Backend = {
      ...cpu,
      name: "failing",
      register: () =>
        Effect.sync(() => {
          tf.registerBackend("failing", () => Promise.reject(new Error("no device")))
        }),
    }
    const error = await Effect.runPromise(Effect.flip(startBackend(failing)))
    expect(error.message).toContain("the backend failing cannot run here: tfjs could not initialise it")
    tf.removeBackend("failing")
    const absent: Backend = { ...cpu, name: "absent", register: () => Effect.void }
    const { message } = await Effect.runPromise(Effect.flip(startBackend(absent)))
    expect(message).toStartWith("the backend absent cannot run here: tfjs: ")
    expect(message).toEndWith("; choose another backend")
    await Effect.runPromise(startBackend(cpu))
  })
})

describe("wasm", () => {
  test("a clone shares its memory until both are disposed of", async () => {
    await Effect.runPromise(startBackend(wasm))
    const { numTensors, numDataBuffers } = tf.memory()
    const x = tf.ones([100])
    const y = x.clone()
    expect(tf.memory()).toMatchObject({ numTensors: numTensors + 2, numDataBuffers: numDataBuffers + 1 })
    x.dispose()
    expect([...y.dataSync()]).toEqual(new Array(100).fill(1))
    y.dispose()
    expect(tf.memory()).toMatchObject({ numTensors, numDataBuffers })
  })
})

describe("tensorflow", () => {
  test("runs here, or reports why not and what to do", async () => {
    const checked = await Effect.runPromise(Effect.result(tensorflow.check))
    if (Result.isSuccess(checked)) return
    expect(checked.failure).toBeInstanceOf(BackendUnavailable)
    expect(checked.failure.message).toContain("@tensorflow/tfjs-node-gpu does not load")
    expect(checked.failure.message).toContain("bun pm trust @tensorflow/tfjs-node-gpu")
    expect(checked.failure.message).toContain("CUDA 11.2")
  })

  test("if it is missing, the other backends still work", async () => {
    await Effect.runPromise(Effect.result(startBackend(tensorflow)))
    await Effect.runPromise(startBackend(wasm))
    expect(tf.tidy(() => tf.sum(tf.ones([3])).dataSync()[0])).toBe(3)
  })
})

test("native ranks over tensorflow, tensorflow over wasm, and wasm over cpu", () => {
  expect(native.rank).toBeGreaterThan(tensorflow.rank)
  expect(tensorflow.rank).toBeGreaterThan(wasm.rank)
  expect(wasm.rank).toBeGreaterThan(cpu.rank)
})

test("a precision that a backend does not have is refused, listing those that it has", async () => {
  const error = await Effect.runPromise(Effect.flip(startBackend(wasm, { precision: "bf16" })))
  expect(error.message).toContain("the backend wasm cannot run here: it does not compute in bf16")
  expect(error.message).toContain("--precision fp32")
})

describe("a separate process", () => {
  const run = (command: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: "utf8" })
    if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`)
    return stdout.trim()
  }

  test("importing the backends loads no tensor library", () => {
    const script = `
      await import("./core/tensor/backend.ts")
      for (const name of ["cpu", "wasm", "tensorflow", "native"]) await import("./plugins/backend/" + name + ".ts")
      console.log("_tfengine" in globalThis || "_tfGlobals" in globalThis)
      await import("@tensorflow/tfjs-core")
      console.log("_tfengine" in globalThis || "_tfGlobals" in globalThis)`
    // The second line proves that the first one would notice.
    expect(run(process.execPath, "-e", script)).toBe("false\ntrue")
  })

  const step = join(import.meta.dir, "training-step.ts")
  const deno = join(root, "node_modules", "deno", "bin.cjs")

  test("Bun and Deno take the same training step, and have the same elementary functions, to the last bit", () => {
    const [inBun, inDeno] = [run(process.execPath, step), run("node", deno, "run", "--allow-all", step)].map(
      (output): unknown => JSON.parse(output),
    )
    expect(inDeno).toEqual(inBun)
    expect(inBun).toMatchObject({ loss: expect.any(Number), elementary: expect.any(String) })
  })
})
