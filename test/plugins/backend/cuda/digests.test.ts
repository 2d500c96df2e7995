import { expect, test } from "bun:test"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { type } from "arktype"
import { Cause, Effect, Exit } from "effect"
import { UnitFailure } from "../../../../core/api/failure.ts"
import type { AnyProbe } from "../../../../core/api/plugin.ts"
import { observationsOf } from "../../../../core/artifacts/observations.ts"
import { watching } from "../../../../core/engine/watch.ts"
import { digestsKernel } from "../../../../core/tensor/digests.ts"
import { guardOf } from "../../../../core/tensor/guard.ts"
import { registerKernels } from "../../../../core/tensor/kernel.ts"
import { Parameters } from "../../../../core/tensor/parameters.ts"
import type { DeviceBackend } from "../../../../plugins/backend/device/backend.ts"
import { deviceKernels } from "../../../../plugins/backend/device/kernels.ts"
import { noise } from "../../../core/tensor/against-float64.ts"
import { onEveryDevice } from "../device/devices.ts"

const wrap = (x: bigint): bigint => BigInt.asUintN(64, x)

/** The sum of two words and their place, mixed by SplitMix64, in whole numbers of any length. */
const expectedOf = (values: Float32Array): bigint => {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  let sum = 0n
  for (let pair = 0; 2 * pair < words.length; pair++) {
    const both = BigInt(words[2 * pair]!) | (BigInt(words[2 * pair + 1] ?? 0) << 32n)
    let x = wrap(both + BigInt(pair + 1) * 0x9e3779b97f4a7c15n)
    x = wrap((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n)
    x = wrap((x ^ (x >> 27n)) * 0x94d049bb133111ebn)
    sum = wrap(sum + (x ^ (x >> 31n)))
  }
  return sum
}

onEveryDevice("digests", ({ device }) => {
  const digestsOf = async (tensors: readonly tf.Tensor[]) => [...(await digestsKernel(tensors))]

  test("are those of every word at its place, in tensors of all sizes", async () => {
    if (device().digests === undefined) return
    const sizes = [0, 1, 2, 3, 32_767, 32_768, 32_769, 0, 65_536, 70_001, 0]
    const tensors = sizes.map((size, site) => tf.tensor1d(noise(site, size)))
    const expected = sizes.map((size, site) => expectedOf(noise(site, size)))
    expect(await digestsOf(tensors)).toEqual(expected)
    tf.dispose(tensors)
  })

  test("differ by a bit, by an exchange of two numbers and by the sign of zero", async () => {
    if (device().digests === undefined) return
    const values = noise(1, 1000)
    values[3] = 0
    const change = (body: (bits: Int32Array<ArrayBuffer>) => void) => {
      const bits = new Int32Array(values.slice().buffer)
      body(bits)
      return tf.tensor1d(new Float32Array(bits.buffer))
    }
    const tensors = [
      change(() => {}),
      change(() => {}),
      change((bits) => (bits[999]! ^= 1)),
      change((bits) => ([bits[0], bits[1]] = [bits[1]!, bits[0]!])),
      change((bits) => ([bits[0], bits[2], bits[1], bits[3]] = [bits[2]!, bits[0]!, bits[3]!, bits[1]!])),
      change((bits) => (bits[3] = -(2 ** 31))),
    ]
    const [first, second, ...changed] = await digestsOf(tensors)
    expect(second).toBe(first!)
    expect(new Set([first, ...changed]).size).toBe(5)
    tf.dispose(tensors)
  })

  test("are all that a guard brings to the processor", async () => {
    if (device().digests === undefined) return
    const parameters = new Parameters()
    for (const name of ["a", "b"]) parameters.set(name, tf.tensor1d(noise(1, 100)))
    const guard = guardOf({ parameters, arrays: {} })
    await Effect.runPromise(guard.digests)
    const called: string[] = []
    const table = device() as unknown as Record<string, (...args: unknown[]) => unknown>
    const before = { ...table }
    for (const [name, call] of Object.entries(before)) {
      table[name] = (...args) => {
        called.push(name)
        return call(...args)
      }
    }
    registerKernels("cuda", deviceKernels(tf.backend() as DeviceBackend))
    try {
      await Effect.runPromise(guard.digests)
    } finally {
      Object.assign(table, before)
      registerKernels("cuda", deviceKernels(tf.backend() as DeviceBackend))
      parameters.dispose()
    }
    expect(called).toEqual(["allocate", "digests", "readFloat64", "release"])
  })

  test("fail as the device does: no probe is told that it disposed of a parameter", async () => {
    if (device().digests === undefined) return
    const parameters = new Parameters()
    parameters.set("a", tf.tensor1d(noise(1, 100)))
    const there = device()
    const { write } = there
    const scratch = await mkdtemp(join(tmpdir(), "kasosei-digests-"))
    // It reads values in the processor's memory, as tfjs's own kernels do; they go back to the device when it is used.
    const observe = () => {
      tf.tidy(() => tf.sin(parameters.get("a")))
      there.write = () => {
        throw Object.assign(new Error("copying to the GPU: CUDA_ERROR_UNKNOWN"), {
          code: "CUDA_ERROR_UNKNOWN",
        })
      }
      return []
    }
    const gives = observationsOf(type({ "+": "reject", step: "number" }))
    const probe = { steps: () => [0], observe } as unknown as AnyProbe
    const { watch, observations } = watching(true, [
      { key: "sine", gives, options: {}, inputs: {}, scratch, probe },
    ])
    const run = Effect.andThen(
      watch.start({ steps: 1, warmupSteps: 0 }, guardOf({ parameters, arrays: {} })),
      watch.at(0, undefined),
    )
    try {
      const ended = await Effect.runPromise(Effect.exit(run))
      expect(Exit.isFailure(ended) && Cause.pretty(ended.cause)).toContain("CUDA_ERROR_UNKNOWN")
      const failure = new UnitFailure({ outcome: "failed", reason: "the GPU failed" })
      const found = await Effect.runPromise(observations(failure))
      expect(found.get("sine")).toMatchObject({ failure })
    } finally {
      there.write = write
      parameters.dispose()
      await rm(scratch, { recursive: true })
    }
  })
})
