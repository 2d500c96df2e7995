import type { GlueTask } from "./task.ts"

/** MNLI with one of its two dev sets, whose texts are of the train split's genres or of others. */
export const mnliTask = (set: "matched" | "mismatched", dev: number): GlueTask => ({
  labelNames: ["entailment", "neutral", "contradiction"],
  metrics: ["accuracy"],
  tsv: [
    { train: "train.tsv", dev: `dev_${set}.tsv`, sentences: ["sentence1", "sentence2"], label: "gold_label" },
  ],
  parquet: { folder: "mnli", dev: `validation_${set}`, sentences: ["premise", "hypothesis"], label: "label" },
  train: 392_702,
  dev,
  // Typical of such text: not measured.
  lengths: [15, 21, 25, 29, 33, 37, 42, 48, 57, 81],
})
