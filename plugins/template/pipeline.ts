/**
 * bun run pipeline template-pipeline.ts
 *
 * The norms of the weights of a small BERT while it is fine-tuned on entailment in the embedded toy language, offline.
 */
import { type } from "arktype"
import { cohort, mapCohort, pipeline } from "../../core/api/pipeline.ts"
import { toyCorpus } from "../data/toy-corpus.ts"
import { toyEntailment } from "../data/toy-entailment.ts"
import { toyVocabulary } from "../data/toy-vocabulary.ts"
import { classification } from "../finetune/classification.ts"
import { mlm } from "../pretrain/mlm.ts"
import { lineChart } from "../report/line-chart.ts"
import { observationsTable } from "../report/observations-table.ts"
import { templateProbe } from "./probe.ts"

export default pipeline({
  name: "template-pipeline",
  summary: "Norms of the weights while fine-tuning",
  parameters: type({
    "+": "reject",
    /** Layers of the encoder. */
    layers: "1 <= number.integer <= 24 = 2",
    /** Updates of masked-language modelling, 32 sentences each. */
    mlmSteps: "1 <= number.integer <= 100000 = 100",
    /** Examples to fine-tune on. */
    train: "16 <= number.integer <= 100000 = 640",
    /** Peak learning rate of fine-tuning. */
    lr: "0 < number < 1 = 0.0003",
    /** Seeds of fine-tuning, each of which gives a run. */
    seeds: type("number.integer >= 0")
      .array()
      .default(() => [1, 2, 3]),
  }),
  build: ({ layers, mlmSteps, train, lr, seeds }) => {
    const vocabulary = toyVocabulary({})
    const checkpoint = mlm({
      corpus: toyCorpus({ vocabulary, sentences: 5000, restated: true }),
      vocabulary,
      size: { layers, hidden: 64, heads: 4, intermediate: 256 },
      positions: 64,
      steps: mlmSteps,
      batchSize: 32,
    })
    const data = toyEntailment({ vocabulary, train })
    const runs = cohort({ arm: "vanilla" }, seeds, (seed) => classification({ data, checkpoint, lr, seed }))
    const norms = mapCohort(runs, (run) =>
      templateProbe({ run, steps: { at: [0], every: "warmup", last: true } }),
    )
    const given = { title: "Norms of the weights", observations: [norms] }
    return {
      chart: lineChart({ ...given, x: "step", y: "norm", facet: "layer", yAxis: "own" }),
      table: observationsTable(given),
    }
  },
})
