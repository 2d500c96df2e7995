import { plugin } from "../../core/api/plugin.ts"
import { GlueOptions, glueTask } from "./shared/glue/plugin.ts"

/** WNLI of GLUE: does sentence 1 entail sentence 2, which replaces a pronoun with a noun? */
export const wnli = plugin({
  name: "wnli",
  version: 1,
  module: import.meta.url,
  summary: "WNLI of GLUE: does the first sentence entail the second, which replaces a pronoun?",
  options: GlueOptions,
  ...glueTask({
    labelNames: ["not_entailment", "entailment"],
    metrics: ["accuracy"],
    tsv: [
      {
        train: "train.tsv",
        dev: "dev.tsv",
        sentences: ["sentence1", "sentence2"],
        label: "label",
        written: ["0", "1"],
      },
    ],
    parquet: { folder: "wnli", dev: "validation", sentences: ["sentence1", "sentence2"], label: "label" },
    train: 635,
    dev: 71,
    lengths: [21, 24, 27, 29, 31, 34, 37, 42, 53, 75],
  }),
})
