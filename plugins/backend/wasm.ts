import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, sep } from "node:path"
import type { KernelBackend, KernelFunc } from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { BackendUnavailable, backend } from "../../core/tensor/backend.ts"

const unavailable = (reason: string) =>
  new BackendUnavailable({
    backend: "wasm",
    reason,
    remedy: "run `bun install`, or choose the backend cpu",
  })

/** The folder of the package's .wasm files. */
const binaries = Effect.try({
  try: () => dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm")),
  catch: () => unavailable("the package @tensorflow/tfjs-backend-wasm is not installed"),
}).pipe(
  Effect.filterOrFail(
    (folder) => existsSync(join(folder, "tfjs-backend-wasm-simd.wasm")),
    (folder) => unavailable(`${folder} has no tfjs-backend-wasm-simd.wasm`),
  ),
)

/**
 * A clone that shares its memory, as on tfjs's other backends. tfjs's wasm backend copies, and tfjs clones everything
 * that a gradient needs from the forward pass.
 */
const sharingIdentity: KernelFunc = ({ inputs, backend }) => {
  const x = inputs.x
  if (x === undefined)
    throw new Error("Identity: expected the input x, found none")
    // tfjs declares the backend of a kernel as an empty object.
  ;(backend as KernelBackend).incRef(x.dataId)
  return { dataId: x.dataId, shape: x.shape, dtype: x.dtype }
}

/** tfjs in WebAssembly on one thread: the same bits on any number of cores. Parallel jobs can use the other cores. */
export const wasm = backend({
  name: "wasm",
  module: import.meta.url,
  summary: "WebAssembly with SIMD on one thread: runs everywhere",
  rank: 10,
  flopsPerSecond: () => 12e9,
  precisions: ["fp32"],
  instructions: Effect.succeed("WebAssembly SIMD"),
  check: Effect.asVoid(binaries),
  register: Effect.fnUntraced(function* () {
    const folder = yield* binaries
    yield* Effect.promise(async () => {
      const { registerKernels } = await import("../../core/tensor/kernel.ts")
      const { hostKernels } = await import("../../core/tensor/host/kernels.ts")
      const { registerKernel, unregisterKernel } = await import("@tensorflow/tfjs-core")
      const { setThreadsCount, setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm")
      setThreadsCount(1)
      setWasmPaths(folder + sep)
      registerKernels("wasm", hostKernels)
      unregisterKernel("Identity", "wasm")
      registerKernel({ kernelName: "Identity", backendName: "wasm", kernelFunc: sharingIdentity })
    })
  }),
})
