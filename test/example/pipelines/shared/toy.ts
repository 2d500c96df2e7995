/** What these pipelines have in common: a small BERT of the toy language, its data, and a chart of training losses. */
import { type Cohort, mapCohort, type Node, type Run, type } from "kasosei"
import { toyCorpus } from "kasosei/plugins/data/toy-corpus"
import { toyEntailment } from "kasosei/plugins/data/toy-entailment"
import { toyVocabulary } from "kasosei/plugins/data/toy-vocabulary"
import type { ClassifierView } from "kasosei/plugins/model/view"
import { mlm } from "kasosei/plugins/pretrain/mlm"
import { trajectory } from "kasosei/plugins/probe/trajectory"
import { lineChart } from "kasosei/plugins/report/line-chart"

/** The parameters of every pipeline here, to be spread among its own. */
export const toyParameters = {
  /** Updates of masked-language modelling, 32 sentences each. */
  mlmSteps: "1 <= number.integer <= 100000 = 300",
  /** Entailment pairs to fine-tune on. */
  train: "16 <= number.integer <= 100000 = 640",
  /** Peak learning rate of fine-tuning with AdamW. */
  lr: "0 < number < 1 = 0.0003",
  /** Seeds of fine-tuning, each of which gives a run in every arm. */
  seeds: type("number.integer >= 0")
    .array()
    .atLeastLength(1)
    .default(() => [1, 2, 3]),
} as const

/** The vocabulary, the pretrained model and the entailment pairs. */
export const toyInputs = ({ mlmSteps, train }: { readonly mlmSteps: number; readonly train: number }) => {
  const vocabulary = toyVocabulary({})
  const checkpoint = mlm({
    corpus: toyCorpus({ vocabulary, sentences: 10000, restated: true }),
    vocabulary,
    size: { layers: 2, hidden: 32, heads: 2, intermediate: 64 },
    positions: 64,
    steps: mlmSteps,
    batchSize: 32,
    lr: 0.002,
  })
  return { vocabulary, checkpoint, data: toyEntailment({ vocabulary, train, dev: 100 }) }
}

type FineTuned = Node<typeof Run, ClassifierView>

/** The distance that the parameters of every arm have moved, and the loss, as charts. */
export const chartsOf = (title: string, runs: readonly Cohort<FineTuned>[]) => {
  const observations = runs.map((of) =>
    mapCohort(of, (run) => trajectory({ run, steps: { at: [1], every: "warmup", last: true } })),
  )
  const shared = { title, observations, x: "step", colour: "arm", where: { scope: "all" } }
  return {
    loss: lineChart({ ...shared, y: "loss" }),
    distance: lineChart({ ...shared, y: "r", yTitle: "distance from the start" }),
  }
}
