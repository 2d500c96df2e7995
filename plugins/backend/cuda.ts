import { Effect } from "effect"
import { formatBytes } from "../../core/io/format.ts"
import { BackendUnavailable, backend } from "../../core/tensor/backend.ts"
import { cudaAddon } from "./cuda/addon.ts"
import type { BlasFound } from "./cuda/blas.ts"

import {
  capabilityInWords,
  compilersFor,
  leastCapability,
  loadKernels,
  NoKernels,
  noCompiler,
} from "./cuda/compile.ts"
import type { Compiler } from "./cuda/compiler.ts"
import type { Gpu } from "./cuda/device.ts"

import { driverLibrary, librariesVariable } from "./cuda/libraries.ts"
import { type KnownGpu, secondsPerCall, speedOf } from "./cuda/speed.ts"
import { addonPath, prebuildAddon } from "./device/build.ts"

const name = "cuda"

const unavailable = (reason: string, remedy: string, isAbsent = false) =>
  new BackendUnavailable({
    backend: name,
    reason,
    remedy: `${remedy}, or choose the backend native`,
    ...(isAbsent ? { isAbsent } : {}),
  })

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** What mends a failure of the driver, by the code that the addon gives its error. */
const remedies: Readonly<Record<string, string>> = {
  LIBRARY_NOT_LOADED: "install NVIDIA's driver again",
  LIBRARY_TOO_OLD: "update NVIDIA's driver",
  CUDA_ERROR_NO_DEVICE:
    "see that `nvidia-smi` lists a GPU; a container must be given it (`docker run --gpus all`)",
  CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: "restart the machine, since its driver was updated while it ran",
  CUDA_ERROR_OUT_OF_MEMORY: "end what else uses the GPU's memory: `nvidia-smi` lists it",
  OUT_OF_MEMORY: "end what else uses the GPU's memory: `nvidia-smi` lists it",
}

/** Of a failure of the driver or the device. */
const failure = (cause: unknown): BackendUnavailable => {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : ""
  const visible = process.env["CUDA_VISIBLE_DEVICES"]
  if (code === "CUDA_ERROR_NO_DEVICE" && visible !== undefined) {
    const reason = `CUDA_VISIBLE_DEVICES is "${visible}", which shows this process no GPU (${messageOf(cause)})`
    // Somebody may have hidden them on purpose.
    return unavailable(reason, "name a GPU in it, or remove it", true)
  }
  return unavailable(messageOf(cause), remedies[code] ?? "see that `nvidia-smi` works")
}

const versionInWords = (version: number): string =>
  `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`

/** What plans know of the GPU, once it was found. */
let known: KnownGpu | undefined

/** The GPU, found but not started. */
const found = Effect.gen(function* () {
  const library = driverLibrary()
  if (library === undefined) {
    return yield* unavailable("NVIDIA's driver is not installed (libcuda.so.1)", "install it", true)
  }
  const path = yield* Effect.mapError(addonPath(cudaAddon), ({ reason, remedy }) =>
    unavailable(reason, remedy),
  )
  const { loadCudaAddon } = yield* Effect.promise(() => import("./cuda/device.ts"))
  const [addon, [gpu, capability, driver, memory, multiprocessors, clock, bandwidth]] = yield* Effect.try({
    try: () => {
      const addon = loadCudaAddon(path)
      return [addon, addon.find(library)] as const
    },
    catch: failure,
  })
  if (capability < leastCapability) {
    return yield* unavailable(
      `${gpu} has the compute capability ${capabilityInWords(capability)}, and ${capabilityInWords(leastCapability)} or later is needed`,
      "use an Ampere GPU or a later one",
    )
  }
  known = { capability, multiprocessors, clock, bandwidth }
  return { addon, gpu, capability, driver, memory }
})

/** What a started GPU computes with. */
interface Running {
  readonly compiler: Compiler
  readonly blas: BlasFound
}
let running: Running | undefined

/** Kasosei's own kernels on an NVIDIA GPU. */
export const cuda = backend({
  name,
  module: import.meta.url,
  sources: ["./device/source", "./cuda/source", "./cuda/kernels"],
  summary: "kernels of our own on an NVIDIA GPU, compiled on first use",
  rank: 40,
  // Where jobs run elsewhere, there may be none here: then a guess, low enough for float32 on most.
  flopsPerSecond: (_threads, precision) => (known === undefined ? 10e12 : speedOf(known, precision)),
  secondsPerCall,
  precisions: ["fp32", "tf32", "bf16"],
  device: "cuda",
  check: Effect.gen(function* () {
    const { addon, capability } = yield* found
    const { compilers, refusals } = yield* Effect.promise(() => compilersFor(addon, capability))
    if (compilers.length > 0) return
    const { reason, remedy } = noCompiler(refusals)
    return yield* unavailable(reason, remedy)
  }),
  model: Effect.gen(function* () {
    const { addon, gpu, capability, driver } = yield* found
    const { findBlas } = yield* Effect.promise(() => import("./cuda/blas.ts"))
    const { compilers } = yield* Effect.promise(() => compilersFor(addon, capability))
    const libraries = [compilers[0]?.name ?? "no compiler", findBlas(addon).name ?? "own products"]
    return [gpu, `driver ${versionInWords(driver)}`, ...libraries].join(", ")
  }),
  instructions: Effect.map(found, ({ gpu }) => gpu),
  counts: Effect.promise(async () => {
    const { findBackend } = await import("@tensorflow/tfjs-core")
    const { DeviceBackend } = await import("./device/backend.ts")
    const backend = findBackend(name)
    if (!(backend instanceof DeviceBackend)) throw new Error("another backend of that name is registered")
    const [queued, memory] = (backend.device as Gpu).counts()
    return { queued, memory }
  }),
  prebuild: Effect.fnUntraced(function* (folder) {
    const refused = ({ reason, remedy }: { readonly reason: string; readonly remedy: string }) =>
      unavailable(reason, remedy)
    yield* Effect.mapError(prebuildAddon(cudaAddon, folder, true), refused)
    const path = yield* Effect.mapError(addonPath(cudaAddon), refused)
    const { loadCudaAddon } = yield* Effect.promise(() => import("./cuda/device.ts"))
    const { prebuildKernels } = yield* Effect.promise(() => import("./cuda/prebuild.ts"))
    yield* Effect.tryPromise({
      try: () => prebuildKernels(loadCudaAddon(path), folder),
      catch: (cause) =>
        cause instanceof NoKernels ? refused(cause) : unavailable(messageOf(cause), "try again"),
    })
  }),
  details: Effect.gen(function* () {
    const { gpu, capability, driver, memory } = yield* found
    const { compiler, blas } = running ?? { compiler: undefined, blas: undefined }
    return [
      `device: ${gpu}, compute capability ${capabilityInWords(capability)}, ${formatBytes(memory)} of memory`,
      `driver: for CUDA up to ${versionInWords(driver)}`,
      ...(compiler === undefined ? [] : [`kernels: compiled by ${compiler.name} for ${compiler.target}`]),
      ...(blas === undefined ? [] : productLines(blas)),
    ]
  }),
  register: Effect.fnUntraced(function* ({ precision }) {
    const { addon, capability } = yield* found
    yield* Effect.tryPromise({
      try: async () => {
        await import("@tensorflow/tfjs-backend-cpu")
        const tf = await import("@tensorflow/tfjs-core")
        const { gpuOf } = await import("./cuda/device.ts")
        const { openBlas } = await import("./cuda/blas.ts")
        const { DeviceBackend } = await import("./device/backend.ts")
        const { precisionNumbers } = await import("./device/device.ts")
        const { registerDeviceKernels } = await import("./device/tfjs-kernels.ts")
        const { deviceKernels } = await import("./device/kernels.ts")
        const { registerKernels } = await import("../../core/tensor/kernel.ts")
        if (tf.findBackend(name) === null) {
          addon.start()
          try {
            running = { compiler: await loadKernels(addon, capability), blas: openBlas(addon) }
          } catch (cause) {
            addon.stop()
            throw cause
          }
          const backend = new DeviceBackend(gpuOf(addon))
          registerDeviceKernels(name)
          tf.registerBackend(name, () => backend)
        }
        const backend = tf.findBackend(name)
        if (!(backend instanceof DeviceBackend)) throw new Error("another backend of that name is registered")
        backend.precision = precisionNumbers[precision]
        addon.setPrecision(backend.precision)
        registerKernels(name, deviceKernels(backend))
      },
      catch: (cause) =>
        cause instanceof NoKernels ? unavailable(cause.reason, cause.remedy) : failure(cause),
    })
  }),
})

const productLines = ({ name: library, refusals }: BlasFound): readonly string[] =>
  library !== undefined
    ? [`products: ${library}`]
    : [
        "products: our own, which are slower in large models, since cuBLASLt is not found; the CUDA toolkit and PyTorch have it " +
          `(${librariesVariable} names its folder)${refusals.length === 0 ? "" : `; ${refusals.join("; ")}`}`,
      ]
