import { describe } from "bun:test"
import { Effect, Result } from "effect"
import { addonPath } from "../../../../plugins/backend/device/build.ts"
import type { Device, Handle } from "../../../../plugins/backend/device/device.ts"
import { nativeAddon } from "../../../../plugins/backend/native/addon.ts"
import { openProcessor, type Processor } from "../../../../plugins/backend/native/device.ts"
import { noise } from "../../../core/tensor/against-float64.ts"

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

/** Runs tests on every code path of the processor. */
export const onEveryProcessor = (name: string, define: (device: Processor) => void): void => {
  for (const { target, device } of processors) {
    describe(`${name}, built for ${target} (${device.instructions})`, () => define(device))
  }
}

export interface Given {
  readonly handle: Handle
  readonly values: Float32Array
}

/** Buffers that are released at the end of `body`. */
export const withBuffers = <A>(
  device: Device,
  body: (buffers: {
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
