import { plugin } from "../../core/api/plugin.ts"
import { GlueOptions, glueTask } from "./shared/glue/plugin.ts"

/**
 * QQP of GLUE: do two questions of Quora ask the same? Some questions in its own files contain a line ending; those rows,
 * broken in two, are left out, as they are from the hub's copy.
 */
export const qqp = plugin({
  name: "qqp",
  version: 1,
  module: import.meta.url,
  summary: "QQP of GLUE: do two questions ask the same?",
  options: GlueOptions,
  ...glueTask({
    labelNames: ["not_duplicate", "duplicate"],
    metrics: ["accuracy", "f1"],
    emptyText: true,
    tsv: [
      {
        train: "train.tsv",
        dev: "dev.tsv",
        sentences: ["question1", "question2"],
        label: "is_duplicate",
        written: ["0", "1"],
        leaveOutShort: true,
      },
    ],
    parquet: { folder: "qqp", dev: "validation", sentences: ["question1", "question2"], label: "label" },
    train: 363846,
    dev: 40430,
    // Typical of such text: not measured.
    lengths: [18, 20, 22, 24, 26, 28, 31, 35, 43, 65],
  }),
})
