import { type } from "arktype"
import { Effect } from "effect"
import { launcher } from "../../core/api/launcher.ts"
import { visibleGpus } from "./local/gpus.ts"

/** Of the memory that there may be: the rest is for what estimates do not see. */
const usable = 0.8

/** One process per core, as long as they fit into memory; where the backend computes on GPUs, one per GPU at most. */
export const local = launcher({
  name: "local",
  module: import.meta.url,
  summary:
    "Worker processes on this machine, as many as cores and memory allow; on a backend that needs a GPU, each has one to itself",
  options: type({ "+": "reject" }),
  check: Effect.void,
  slots: (_options, { jobs, memory, device, here }) =>
    Effect.sync(() => {
      const fitting = Math.floor((usable * here.memory) / Math.max(1, memory))
      const processes = jobs ?? Math.max(1, Math.min(here.cores, fitting))
      const gpus = device === undefined ? [] : visibleGpus()
      if (gpus.length === 0) return { processes }
      const environments = gpus.slice(0, processes).map((gpu) => ({ CUDA_VISIBLE_DEVICES: gpu }))
      return { processes: environments.length, environments }
    }),
})
