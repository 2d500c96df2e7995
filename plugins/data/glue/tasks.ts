import type { Lengths } from "../shared/lengths.ts"
import type { TsvLayout } from "../shared/tsv.ts"

/** A GLUE task (Wang et al. 2019): each example has one or two sentences and a label. */
export interface GlueTask {
  /** Label names; a label's id is its index. */
  readonly labelNames: readonly string[]
  /** The labels as written in the task's own files, in the same order. */
  readonly written: readonly string[]
  readonly layout: TsvLayout
  /** The columns of the one or two sentences. */
  readonly sentences: readonly string[]
  /** The folder of the task in the hub's copy of GLUE. */
  readonly config: string
  /** Number of examples in each split. */
  readonly train: number
  readonly dev: number
  readonly lengths: Lengths
}

const pairs = ["index", "sentence1", "sentence2", "label"]

export const glueTaskNames = ["RTE", "WNLI", "CoLA", "SST-2"] as const

/** Label ids are those of the hub's copy; example counts and lengths were measured on GLUE's own files. */
export const glueTasks: Readonly<Record<(typeof glueTaskNames)[number], GlueTask>> = {
  /** Does sentence 1 entail sentence 2? */
  RTE: {
    labelNames: ["entailment", "not_entailment"],
    written: ["entailment", "not_entailment"],
    layout: { columns: pairs, header: true },
    sentences: ["sentence1", "sentence2"],
    config: "rte",
    train: 2490,
    dev: 277,
    lengths: [28, 36, 42, 47, 52, 59, 67, 85, 120, 164],
  },
  /** Does sentence 1 entail sentence 2, which replaces a pronoun with a noun? */
  WNLI: {
    labelNames: ["not_entailment", "entailment"],
    written: ["0", "1"],
    layout: { columns: pairs, header: true },
    sentences: ["sentence1", "sentence2"],
    config: "wnli",
    train: 635,
    dev: 71,
    lengths: [21, 24, 27, 29, 31, 34, 37, 42, 53, 75],
  },
  /** Is the sentence grammatical? */
  CoLA: {
    labelNames: ["unacceptable", "acceptable"],
    written: ["0", "1"],
    layout: { columns: ["source", "label", "judgement", "sentence"], header: false },
    sentences: ["sentence"],
    config: "cola",
    train: 8551,
    dev: 1043,
    lengths: [6, 8, 9, 9, 10, 11, 12, 13, 15, 21],
  },
  /** Is the phrase of a film review positive? */
  "SST-2": {
    labelNames: ["negative", "positive"],
    written: ["0", "1"],
    layout: { columns: ["sentence", "label"], header: true },
    sentences: ["sentence"],
    config: "sst2",
    train: 67349,
    dev: 872,
    lengths: [4, 5, 6, 8, 9, 12, 14, 18, 24, 35],
  },
}
