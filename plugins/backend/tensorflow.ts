import { Effect } from "effect"
import { BackendUnavailable, backend } from "../../core/tensor/backend.ts"

const packageName = "@tensorflow/tfjs-node-gpu"

/** An optional package, imported without its types, since it may not be installed. */
const load = Effect.tryPromise({
  try: async () => {
    await import(packageName)
  },
  catch: (cause) =>
    new BackendUnavailable({
      backend: "tensorflow",
      reason: `${packageName} does not load (${cause instanceof Error ? cause.message.split("\n")[0] : cause})`,
      remedy:
        `run \`bun pm trust ${packageName}\`, which downloads TensorFlow, on a machine with network access and ` +
        "CUDA 11.2, or choose the backend wasm",
      isAbsent: true,
    }),
})

/** tfjs on TensorFlow: needs an NVIDIA GPU with CUDA 11.2 and the package's native binding. */
export const tensorflow = backend({
  name: "tensorflow",
  module: import.meta.url,
  sources: [packageName],
  summary: "TensorFlow on an NVIDIA GPU (CUDA 11.2)",
  rank: 20,
  flopsPerSecond: () => 500e9,
  precisions: ["fp32"],
  device: "cuda",
  // Loading is the only test: the native binding may be missing or built for another machine.
  check: load,
  register: () => load,
})
