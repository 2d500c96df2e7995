import { plugin } from "../../core/api/plugin.ts"
import { GlueOptions, glueTask } from "./shared/glue/plugin.ts"

/** CoLA of GLUE: is the sentence grammatical? */
export const cola = plugin({
  name: "cola",
  version: 1,
  module: import.meta.url,
  summary: "CoLA of GLUE: is the sentence grammatical?",
  options: GlueOptions,
  ...glueTask({
    labelNames: ["unacceptable", "acceptable"],
    metrics: ["matthews"],
    tsv: [
      {
        train: "train.tsv",
        dev: "dev.tsv",
        sentences: ["sentence"],
        label: "label",
        headless: ["source", "label", "judgement", "sentence"],
        written: ["0", "1"],
      },
    ],
    parquet: { folder: "cola", dev: "validation", sentences: ["sentence"], label: "label" },
    train: 8551,
    dev: 1043,
    lengths: [6, 8, 9, 9, 10, 11, 12, 13, 15, 21],
  }),
})
