import { afterAll, beforeAll, describe } from "bun:test"
import { Effect, Result } from "effect"
import { startBackend } from "../../../core/tensor/backend.ts"
import { registerKernels } from "../../../core/tensor/kernel.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { native } from "../../../plugins/backend/native.ts"
import { wasm } from "../../../plugins/backend/wasm.ts"
import { emulated, startEmulated } from "../../plugins/backend/cuda/emulated.ts"

/** Whether the native backend builds here. */
export const nativeBuilds = Result.isSuccess(await Effect.runPromise(Effect.result(native.check)))

/** Runs tests with a backend's own kernels and with the definitions alone, on each backend that can run here. */
export const onEveryDefinition = (name: string, define: () => void): void => {
  for (const backend of [cpu, wasm]) {
    for (const kernels of ["fused", "defined"] as const) {
      describe(`${name}, ${kernels} on ${backend.name}`, () => {
        beforeAll(async () => {
          await Effect.runPromise(startBackend(backend))
          if (kernels === "defined") registerKernels(backend.name, [])
        })
        // Registers its own kernels again.
        afterAll(() => Effect.runPromise(startBackend(backend)))
        define()
      })
    }
  }
  describe.skipIf(!nativeBuilds)(`${name}, fused on native`, () => {
    beforeAll(() => Effect.runPromise(startBackend(native)))
    define()
  })
  describe.skipIf(emulated === undefined)(`${name}, fused on cuda, emulated`, () => {
    beforeAll(() => startEmulated())
    define()
  })
}
