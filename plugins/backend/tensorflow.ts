import { Effect } from "effect"
import { BackendUnavailable, backend } from "../../core/tensor/backend.ts"

const packageName = "@tensorflow/tfjs-node-gpu"

/** An optional package: its type is not asked for, since it may not be there. */
const load = Effect.tryPromise({
  try: async () => {
    await import(packageName)
  },
  catch: (cause) =>
    new BackendUnavailable({
      backend: "tensorflow",
      reason: `${packageName} does not load (${cause instanceof Error ? cause.message.split("\n")[0] : cause})`,
      remedy:
        `run \`bun pm trust ${packageName}\`, which downloads TensorFlow and so needs network, on a machine with ` +
        "CUDA 11.2, or choose the backend wasm",
    }),
})

/** tfjs on TensorFlow: an NVIDIA GPU with CUDA 11.2, where the package's native binding is installed. */
export const tensorflow = backend({
  name: "tensorflow",
  summary: "TensorFlow on an NVIDIA GPU (CUDA 11.2)",
  rank: 20,
  flopsPerSecond: () => 500e9,
  precisions: ["fp32"],
  optional: true,
  // Only loading tells: the native binding may be missing or not fit the machine.
  check: load,
  register: () => load,
})
