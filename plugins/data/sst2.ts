import { plugin } from "../../core/api/plugin.ts"
import { GlueOptions, glueTask } from "./shared/glue/plugin.ts"

/** SST-2 of GLUE: is the phrase of a film review positive? */
export const sst2 = plugin({
  name: "sst2",
  version: 1,
  module: import.meta.url,
  summary: "SST-2 of GLUE: is the phrase of a film review positive?",
  options: GlueOptions,
  ...glueTask({
    labelNames: ["negative", "positive"],
    metrics: ["accuracy"],
    tsv: [
      { train: "train.tsv", dev: "dev.tsv", sentences: ["sentence"], label: "label", written: ["0", "1"] },
    ],
    parquet: { folder: "sst2", dev: "validation", sentences: ["sentence"], label: "label" },
    train: 67349,
    dev: 872,
    lengths: [4, 5, 6, 8, 9, 12, 14, 18, 24, 35],
  }),
})
