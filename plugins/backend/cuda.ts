import { Effect } from "effect"
import { formatBytes } from "../../core/io/format.ts"
import { BackendUnavailable, backend } from "../../core/tensor/backend.ts"
import { cudaAddon } from "./cuda/addon.ts"
import type { BlasFound } from "./cuda/blas.ts"
import type { KnownDevice } from "./cuda/choice.ts"
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
import { codeOf } from "./cuda/failures.ts"
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
  CUDA_ERROR_STUB_LIBRARY:
    "take the folder `stubs` of the CUDA toolkit out of LD_LIBRARY_PATH, and see that NVIDIA's driver is installed",
  CUDA_ERROR_DEVICE_UNAVAILABLE:
    "another process may have the GPU for itself: end that one, or let several use it (`nvidia-smi -c 0`)",
  CUDA_ERROR_SYSTEM_NOT_READY:
    "start what connects the GPUs of this machine (`systemctl start nvidia-fabricmanager`)",
  CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE:
    "take the folder `compat` of the CUDA toolkit out of LD_LIBRARY_PATH, since this GPU works with its own driver only",
  CUDA_ERROR_OUT_OF_MEMORY: "end what else uses the GPU's memory: `nvidia-smi` lists it",
  OUT_OF_MEMORY: "end what else uses the GPU's memory: `nvidia-smi` lists it",
}

/** Of a failure of the driver or the device. */
const failure = (cause: unknown): BackendUnavailable => {
  const code = codeOf(cause)
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
  return { addon, gpu, capability, driver, memory, multiprocessors }
})

/** What a started GPU computes with. */
interface Running {
  readonly compiler: Compiler
  readonly blas: BlasFound
  /** What decides its bits, in words. */
  readonly model: string
}
let running: Running | undefined

/** How products are divided depends on the number of multiprocessors, which not every name tells. */
const modelOf = (
  { gpu, multiprocessors, driver }: KnownDevice,
  compiler: Compiler,
  blas: BlasFound,
): string =>
  [
    `${gpu} of ${multiprocessors} multiprocessors`,
    `driver ${versionInWords(driver)}`,
    `${compiler.name} for ${compiler.target}`,
    blas.name ?? "own products",
  ].join(", ")

/** What the GPU computes with: known once it was tried. */
const tried = Effect.gen(function* () {
  if (running !== undefined) return running.model
  const device = yield* found
  const { addon, capability, driver } = device
  const { compilers, refusals } = yield* Effect.promise(() => compilersFor(addon, capability, driver))
  if (compilers.length === 0) {
    const { reason, remedy } = noCompiler(refusals)
    return yield* unavailable(reason, remedy)
  }
  const { choiceOf } = yield* Effect.promise(() => import("./cuda/choice.ts"))
  const outcome = yield* Effect.tryPromise({
    try: (signal) => choiceOf(addon, device, signal),
    catch: failure,
  })
  return "choice" in outcome
    ? outcome.choice
    : yield* new BackendUnavailable({ backend: name, reason: outcome.reason, remedy: outcome.remedy })
})

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
  // Kernels that cannot be compiled, or that the driver refuses, show only on the GPU.
  check: Effect.asVoid(tried),
  model: tried,
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
    const device = yield* found
    const { addon, capability, driver } = device
    yield* Effect.tryPromise({
      try: async () => {
        await import("@tensorflow/tfjs-backend-cpu")
        const tf = await import("@tensorflow/tfjs-core")
        const { gpuOf } = await import("./cuda/device.ts")
        const { openBlas } = await import("./cuda/blas.ts")
        const { keepChoice } = await import("./cuda/choice.ts")
        const { DeviceBackend } = await import("./device/backend.ts")
        const { precisionNumbers } = await import("./device/device.ts")
        const { registerDeviceKernels } = await import("./device/tfjs-kernels.ts")
        const { deviceKernels } = await import("./device/kernels.ts")
        const { registerKernels } = await import("../../core/tensor/kernel.ts")
        if (tf.findBackend(name) === null) {
          addon.start()
          try {
            const { compiler, refusals } = await loadKernels(addon, capability, driver)
            const blas = openBlas(addon)
            const model = modelOf(device, compiler, blas)
            // What was refused may be taken by another process: then each plan asks the GPU anew.
            const isCertain = refusals.length + blas.refusals.length === 0
            await keepChoice(addon, device, isCertain ? model : undefined)
            running = { compiler, blas, model }
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

const productLines = ({ name: library, refusals }: BlasFound): readonly string[] => {
  if (library !== undefined) return [`products: ${library}`]
  const why =
    refusals.length === 0 ? "cuBLASLt is not found" : `no cuBLASLt works here (${refusals.join("; ")})`
  return [
    `products: our own, which are slower in large models, since ${why}; the CUDA toolkit and PyTorch have it (${librariesVariable} names its folder)`,
  ]
}
