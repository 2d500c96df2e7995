/** The tasks that a study can be fine-tuned on, by the names that parameters take: those of GLUE, and of the toy language. */
import { cola } from "../../plugins/data/cola.ts"
import { mnli } from "../../plugins/data/mnli.ts"
import { mnliMismatched } from "../../plugins/data/mnli-mismatched.ts"
import { mrpc } from "../../plugins/data/mrpc.ts"
import { qnli } from "../../plugins/data/qnli.ts"
import { qqp } from "../../plugins/data/qqp.ts"
import { rte } from "../../plugins/data/rte.ts"
import { sst2 } from "../../plugins/data/sst2.ts"
import { stsb } from "../../plugins/data/stsb.ts"
import { toyAcceptability } from "../../plugins/data/toy-acceptability.ts"
import { toyEntailment } from "../../plugins/data/toy-entailment.ts"
import { toyStsb } from "../../plugins/data/toy-stsb.ts"
import { wnli } from "../../plugins/data/wnli.ts"
import { classification } from "../../plugins/finetune/classification.ts"
import { regression } from "../../plugins/finetune/regression.ts"

const tasks = {
  rte: { title: "RTE", data: rte, fineTune: classification },
  wnli: { title: "WNLI", data: wnli, fineTune: classification },
  mrpc: { title: "MRPC", data: mrpc, fineTune: classification },
  cola: { title: "CoLA", data: cola, fineTune: classification },
  sst2: { title: "SST-2", data: sst2, fineTune: classification },
  qnli: { title: "QNLI", data: qnli, fineTune: classification },
  qqp: { title: "QQP", data: qqp, fineTune: classification },
  mnli: { title: "MNLI", data: mnli, fineTune: classification },
  "mnli-mismatched": { title: "MNLI, mismatched", data: mnliMismatched, fineTune: classification },
  stsb: { title: "STS-B", data: stsb, fineTune: regression },
} as const

export type Task = keyof typeof tasks
export const taskNames = Object.keys(tasks) as readonly Task[]

/** A task's title, the plugin of its data, and the plugin that learns from it: classes or scores. */
export const taskOf = (name: Task) => tasks[name]

/** Tasks of the toy language: pairs of sentences as in RTE, single ones as in CoLA, scores as in STS-B. */
const toyTasks = {
  entailment: { data: toyEntailment, fineTune: classification },
  acceptability: { data: toyAcceptability, fineTune: classification },
  similarity: { data: toyStsb, fineTune: regression },
} as const

export type ToyTask = keyof typeof toyTasks
export const toyTaskNames = Object.keys(toyTasks) as readonly ToyTask[]

export const toyTaskOf = (name: ToyTask) => toyTasks[name]
