import { Effect } from "effect"
import { BackendUnavailable, backend } from "../../core/tensor/backend.ts"
import type { DeviceBackend } from "./device/backend.ts"
import { type AddonUnavailable, addonPath, prebuildAddon } from "./device/build.ts"
import { instructionsOf, nativeAddon } from "./native/addon.ts"
import type { Processor } from "./native/device.ts"

const name = "native"

const unavailable = ({ reason, remedy }: AddonUnavailable) =>
  Effect.fail(
    new BackendUnavailable({ backend: name, reason, remedy: `${remedy}, or choose the backend wasm` }),
  )

const doesNotLoad = (path: string, cause: unknown) =>
  new BackendUnavailable({
    backend: name,
    reason: `its addon does not load (${cause instanceof Error ? cause.message.split("\n")[0] : cause})`,
    remedy: `delete ${path} to rebuild it, or choose the backend wasm`,
  })

type Running = InstanceType<typeof DeviceBackend<Processor>>

let registered = false

/** The backend, once it is registered. */
const running = async () => {
  const { findBackend } = await import("@tensorflow/tfjs-core")
  const { DeviceBackend } = await import("./device/backend.ts")
  const backend = findBackend(name)
  if (!(backend instanceof DeviceBackend)) throw new Error("another backend of that name is registered")
  return backend as Running
}

/** Kasosei's own engine in C++: vectors as wide as the processor supports, on several threads. */
export const native = backend({
  name,
  module: import.meta.url,
  sources: ["./device/source", "./native/source"],
  summary: "C++ with vector instructions on several threads, built on first use",
  rank: 30,
  flopsPerSecond: (threads) => 100e9 * threads,
  precisions: ["fp32", "bf16"],
  check: Effect.asVoid(Effect.catch(addonPath(nativeAddon), unavailable)),
  prebuild: (folder) => Effect.catch(prebuildAddon(nativeAddon, folder), unavailable),
  setThreads: (threads) => Effect.promise(async () => (await running()).device.setThreads(threads)),
  instructions: Effect.gen(function* () {
    if (registered) return yield* Effect.promise(async () => (await running()).device.instructions)
    const path = yield* Effect.catch(addonPath(nativeAddon), unavailable)
    return yield* Effect.tryPromise({
      try: () => instructionsOf(path),
      catch: (cause) => doesNotLoad(path, cause),
    })
  }),
  register: Effect.fnUntraced(function* ({ threads, precision }) {
    const path = yield* Effect.catch(addonPath(nativeAddon), unavailable)
    yield* Effect.tryPromise({
      try: async () => {
        await import("@tensorflow/tfjs-backend-cpu")
        const tf = await import("@tensorflow/tfjs-core")
        const { precisionNumbers } = await import("./device/device.ts")
        const { openProcessor } = await import("./native/device.ts")
        const { DeviceBackend } = await import("./device/backend.ts")
        const { registerDeviceKernels } = await import("./device/tfjs-kernels.ts")
        const { deviceKernels } = await import("./device/kernels.ts")
        const { registerKernels } = await import("../../core/tensor/kernel.ts")
        if (tf.findBackend(name) === null) {
          const backend = new DeviceBackend(openProcessor(path))
          registerDeviceKernels(name)
          tf.registerBackend(name, () => backend)
          registered = true
        }
        const backend = await running()
        backend.device.setThreads(threads)
        backend.precision = precisionNumbers[precision]
        registerKernels(name, deviceKernels(backend))
      },
      catch: (cause) => doesNotLoad(path, cause),
    })
  }),
})
