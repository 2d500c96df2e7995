/** What these pipelines have in common: a small BERT of the toy language, its data, a page and a chart of the arms. */
import { type Cohort, mapCohort, type Node, type Run, type } from "kasosei"
import { toyCorpus } from "kasosei/plugins/data/toy-corpus"
import { toyEntailment } from "kasosei/plugins/data/toy-entailment"
import { toyVocabulary } from "kasosei/plugins/data/toy-vocabulary"
import type { ClassifierView } from "kasosei/plugins/model/view"
import { mlm } from "kasosei/plugins/pretrain/mlm"
import { trajectory } from "kasosei/plugins/probe/trajectory"
import { lineChart } from "kasosei/plugins/report/line-chart"
import { studyPage } from "kasosei/plugins/report/study-page"

/** The parameters of every pipeline here, to be spread among its own. */
export const toyParameters = {
  /** Updates of masked-language modelling, 64 sentences each. */
  mlmSteps: "1 <= number.integer <= 100000 = 1500",
  /** Entailment pairs to fine-tune on. */
  train: "16 <= number.integer <= 100000 = 4980",
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
    corpus: toyCorpus({ vocabulary, sentences: 64 * mlmSteps, restated: true }),
    vocabulary,
    size: { layers: 2, hidden: 64, heads: 4, intermediate: 256 },
    positions: 64,
    steps: mlmSteps,
    batchSize: 64,
    lr: 0.002,
    warmupRatio: 0.1,
    dropout: 0,
  })
  return { vocabulary, checkpoint, data: toyEntailment({ vocabulary, train }) }
}

type FineTuned = Node<typeof Run, ClassifierView>

/**
 * The accuracies of all arms as a page, and how their losses fall as a chart.
 *
 * @param runs labelled by arm and learning rate; the first arm is the baseline
 */
export const reportsOf = (title: string, runs: readonly Cohort<FineTuned>[]) => {
  const trajectories = runs.map((of) => mapCohort(of, (run) => trajectory({ run })))
  const arms = runs.map(({ labels }) => String(labels["arm"]))
  return {
    page: studyPage({ title, arms, runs, ranks: [], trajectories, furtherTraining: [], observations: [] }),
    loss: lineChart({ title, observations: trajectories, x: "step", y: "loss", colour: "arm" }),
  }
}
