import { beforeAll, beforeEach, describe } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect, Result } from "effect"
import { type ComputeSettings, startBackend } from "../../../../core/tensor/backend.ts"
import { cuda } from "../../../../plugins/backend/cuda.ts"
import { DeviceBackend } from "../../../../plugins/backend/device/backend.ts"
import { addonPath } from "../../../../plugins/backend/device/build.ts"
import type { Device, Handle } from "../../../../plugins/backend/device/device.ts"
import { nativeAddon } from "../../../../plugins/backend/native/addon.ts"
import { openProcessor, type Processor } from "../../../../plugins/backend/native/device.ts"
import { native } from "../../../../plugins/backend/native.ts"
import { noise } from "../../../core/tensor/against-float64.ts"
import { emulated, startEmulated, testsGpu } from "../cuda/emulated.ts"

/** The code path of this processor, and those of older processors, which it can also run. */
const targets = process.arch === "x64" ? ["native", "x86-64-v3", "x86-64"] : ["native"]

export const processors: readonly { readonly target: string; readonly device: Processor }[] = (
  await Promise.all(
    targets.map(async (target) => {
      const built = await Effect.runPromise(Effect.result(addonPath(nativeAddon, target)))
      return Result.isSuccess(built) ? [{ target, device: openProcessor(built.success) }] : []
    }),
  )
).flat()

/** A backend whose kernels are those of a device, in tests. */
export interface Target {
  /** In tfjs. */
  readonly name: string
  readonly start: (computing?: Partial<ComputeSettings>) => Promise<void>
  readonly device: () => Device
}

const deviceOf = (name: string) => (): Device => {
  const found = tf.findBackend(name)
  if (!(found instanceof DeviceBackend)) throw new Error(`${name} is not running`)
  return found.device
}

/** The GPU that is there, if it is to be tested; else one that is emulated. */
const gpu = testsGpu
  ? {
      title: "cuda",
      runs: true,
      name: "cuda",
      start: (computing: Partial<ComputeSettings> = {}) => Effect.runPromise(startBackend(cuda, computing)),
    }
  : { title: "cuda, emulated", runs: emulated !== undefined, name: "cuda", start: startEmulated }

/** Runs tests on every device that there is here: the processor, and a GPU that is emulated. */
export const onEveryDevice = (name: string, define: (target: Target) => void): void => {
  const targets = [
    {
      title: "native",
      runs: processors.length > 0,
      name: "native",
      start: (computing = {}) => Effect.runPromise(startBackend(native, computing)),
    },
    gpu,
  ] satisfies readonly (Omit<Target, "device"> & { readonly title: string; readonly runs: boolean })[]
  for (const { title, runs, ...target } of targets) {
    describe.skipIf(!runs)(`${name}, on ${title}`, () => {
      beforeAll(() => target.start())
      beforeEach(() => {
        tf.setBackend(target.name)
      })
      define({ ...target, device: deviceOf(target.name) })
    })
  }
}

/** Runs tests of the table itself on every device, on the processor by each of its code paths. */
export const onEveryPath = (name: string, define: (device: () => Device) => void): void => {
  for (const { target, device } of processors) {
    describe(`${name}, built for ${target} (${device.instructions})`, () => define(() => device))
  }
  describe.skipIf(!gpu.runs)(`${name}, on ${gpu.title}`, () => {
    beforeAll(() => gpu.start())
    define(deviceOf("cuda"))
  })
}

export interface Given {
  readonly handle: Handle
  readonly values: Float32Array
}

/** Buffers that are released at the end of `body`. */
export const withBuffers = <A>(
  device: Device,
  body: (buffers: {
    readonly device: Device
    /** Normally distributed numbers, always the same for a site. */
    readonly given: (site: number, size: number) => Given
    readonly empty: (size: number) => Handle
    readonly read: (handle: Handle, size: number) => Float32Array
  }) => A,
): A => {
  const handles: Handle[] = []
  const empty = (size: number) => {
    const handle = device.allocate("float32", size)
    handles.push(handle)
    return handle
  }
  try {
    return body({
      device,
      given: (site, size) => {
        const handle = empty(size)
        const values = noise(site, size)
        device.write(handle, values)
        return { handle, values }
      },
      empty,
      read: (handle, size) => Float32Array.from(device.read(handle, "float32", size)),
    })
  } finally {
    for (const handle of handles) device.release(handle)
  }
}

/** The greatest difference, as a fraction of the largest expected number, or of 1 if that is more. */
export const deviation = (found: ArrayLike<number>, expected: ArrayLike<number>): number => {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY
  let largest = 1
  let difference = 0
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!))
    const here = Math.abs(found[i]! - expected[i]!)
    if (!(here <= difference)) difference = here
  }
  return difference / largest
}
