import { Effect } from "effect"
import { backend } from "../../core/tensor/backend.ts"

/** tfjs in plain JavaScript: slow, and the one that the other backends are checked against. */
export const cpu = backend({
  name: "cpu",
  module: import.meta.url,
  summary: "Plain JavaScript: runs everywhere, slow",
  rank: 0,
  flopsPerSecond: () => 0.8e9,
  precisions: ["fp32"],
  check: Effect.void,
  register: () =>
    Effect.promise(async () => {
      const { registerKernels } = await import("../../core/tensor/kernel.ts")
      const { hostKernels } = await import("../../core/tensor/host/kernels.ts")
      await import("@tensorflow/tfjs-backend-cpu")
      registerKernels("cpu", hostKernels)
    }),
})
