import { plugin } from "../../core/api/plugin.ts"
import { GlueOptions, glueTask } from "./shared/glue/plugin.ts"

/** QNLI of GLUE: does the sentence answer the question? */
export const qnli = plugin({
  name: "qnli",
  version: 1,
  module: import.meta.url,
  summary: "QNLI of GLUE: does the sentence answer the question?",
  options: GlueOptions,
  ...glueTask({
    labelNames: ["entailment", "not_entailment"],
    metrics: ["accuracy"],
    tsv: [{ train: "train.tsv", dev: "dev.tsv", sentences: ["question", "sentence"], label: "label" }],
    parquet: { folder: "qnli", dev: "validation", sentences: ["question", "sentence"], label: "label" },
    train: 104743,
    dev: 5463,
    // Typical of such text: not measured.
    lengths: [26, 32, 36, 40, 44, 48, 53, 60, 70, 98],
  }),
})
