import { plugin } from "../../core/api/plugin.ts"
import { GlueOptions, glueTask } from "./shared/glue/plugin.ts"
import type { GlueTask } from "./shared/glue/task.ts"

export const rteTask: GlueTask = {
  labelNames: ["entailment", "not_entailment"],
  metrics: ["accuracy"],
  tsv: [{ train: "train.tsv", dev: "dev.tsv", sentences: ["sentence1", "sentence2"], label: "label" }],
  parquet: { folder: "rte", dev: "validation", sentences: ["sentence1", "sentence2"], label: "label" },
  train: 2490,
  dev: 277,
  lengths: [28, 36, 42, 47, 52, 59, 67, 85, 120, 164],
}

/** RTE of GLUE: does sentence 1 entail sentence 2? About 12 % of its examples exceed 128 tokens. */
export const rte = plugin({
  name: "rte",
  version: 1,
  module: import.meta.url,
  summary: "RTE of GLUE: does the first sentence entail the second?",
  options: GlueOptions,
  ...glueTask(rteTask),
})
