import { plugin } from "../../core/api/plugin.ts"
import { GlueOptions, glueTask } from "./shared/glue/plugin.ts"

/** The header of all its own files. */
const columns = { sentences: ["#1 String", "#2 String"], label: "Quality", written: ["0", "1"] }
const original = "msr_paraphrase_train.txt"

/**
 * MRPC of GLUE: do two sentences mean the same? Its folder may be GLUE's, with `train.tsv` and `dev.tsv`; or that of the
 * original corpus: `msr_paraphrase_train.txt` with GLUE's `dev_ids.tsv`, which gives GLUE's own split, or with
 * `msr_paraphrase_test.txt`, which is then the dev split.
 */
export const mrpc = plugin({
  name: "mrpc",
  version: 1,
  module: import.meta.url,
  summary: "MRPC, from GLUE or the original corpus: do two sentences mean the same?",
  options: GlueOptions,
  ...glueTask({
    labelNames: ["not_equivalent", "equivalent"],
    metrics: ["accuracy", "f1"],
    tsv: [
      { ...columns, train: "train.tsv", dev: "dev.tsv" },
      { ...columns, train: original, dev: "dev_ids.tsv", devIds: ["#1 ID", "#2 ID"] },
      { ...columns, train: original, dev: "msr_paraphrase_test.txt" },
    ],
    parquet: { folder: "mrpc", dev: "validation", sentences: ["sentence1", "sentence2"], label: "label" },
    train: 3668,
    dev: 408,
    // Typical of such text: not measured.
    lengths: [33, 39, 43, 47, 51, 54, 58, 62, 67, 77],
  }),
})
