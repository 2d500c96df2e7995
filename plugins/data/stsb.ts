import { plugin } from "../../core/api/plugin.ts"
import { GlueOptions, glueTask } from "./shared/glue/plugin.ts"

/** STS-B of GLUE: how similar are the two sentences, from 0 to 5? */
export const stsb = plugin({
  name: "stsb",
  version: 1,
  module: import.meta.url,
  summary: "STS-B of GLUE: how similar are two sentences, from 0 to 5?",
  options: GlueOptions,
  ...glueTask({
    labelNames: null,
    metrics: ["pearson", "spearman"],
    tsv: [{ train: "train.tsv", dev: "dev.tsv", sentences: ["sentence1", "sentence2"], label: "score" }],
    parquet: { folder: "stsb", dev: "validation", sentences: ["sentence1", "sentence2"], label: "label" },
    train: 5749,
    dev: 1500,
    lengths: [15, 17, 19, 20, 22, 24, 28, 34, 44, 62],
  }),
})
