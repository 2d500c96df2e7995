import { type } from "arktype"
import { Effect } from "effect"
import { launcher } from "../../core/api/launcher.ts"
import { plural } from "../../core/io/format.ts"
import { describedBy, type Gpu, visibleGpus } from "./local/gpus.ts"

/** Of the memory that there may be: the rest is for what estimates do not see. */
const usable = 0.8

/** What a process takes of a GPU's memory before it has any tensor: CUDA's context and libraries, bytes. */
const contextBytes = 2 ** 29

/** Jobs that share a GPU take turns on it; more of them gain nothing. */
const mostOnGpu = 4

/** One process per core, as long as they fit into memory; where the backend computes on GPUs, as many as fit into theirs. */
export const local = launcher({
  name: "local",
  module: import.meta.url,
  summary:
    "Worker processes on this machine, as many as cores and memory allow; on a backend that needs a GPU, as many on each as fit into its memory, at most 4",
  options: type({ "+": "reject" }),
  check: Effect.void,
  slots: (_options, { jobs, memory, device, here }) =>
    Effect.sync(() => {
      const fitting = Math.floor((usable * here.memory) / Math.max(1, memory))
      const processes = jobs ?? Math.max(1, Math.min(here.cores, fitting))
      const gpus = device === undefined ? [] : alike(describedBy(visibleGpus()))
      if (gpus.length === 0) return { processes }
      const environments = placesOn(gpus, memory)
        .slice(0, processes)
        .map((gpu) => ({ CUDA_VISIBLE_DEVICES: gpu }))
      return { processes: environments.length, environments }
    }),
})

/** Those of the first one's model: results are the same bits on these alone. */
const alike = (gpus: readonly Gpu[]): readonly Gpu[] => {
  const model = gpus[0]?.known?.model
  const isOther = ({ known }: Gpu) => model !== undefined && known !== undefined && known.model !== model
  const others = gpus.filter(isOther)
  if (others.length > 0) {
    const named = others.map(({ id, known }) => `${id} (${known!.model})`).join(", ")
    const are = others.length === 1 ? "is" : "are"
    process.stderr.write(
      `${plural(others.length, "GPU")} of another model than the first (${model}) ${are} left out: ${named}; results are the same bits on one model alone\n`,
    )
  }
  return gpus.filter((gpu) => !isOther(gpu))
}

/** A GPU for each job: the first on each come first. */
const placesOn = (gpus: readonly Gpu[], memory: number): readonly string[] => {
  const places = (known: Gpu["known"]) =>
    known === undefined || known.isExclusive
      ? 1
      : Math.max(1, Math.min(mostOnGpu, Math.floor(known.free / (memory + contextBytes))))
  return Array.from({ length: mostOnGpu }, (_, round) =>
    gpus.flatMap(({ id, known }) => (places(known) > round ? [id] : [])),
  ).flat()
}
