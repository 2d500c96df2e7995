/**
 * Fine-tune on A, then on B, and ask A again: how much a second task makes a model forget. A is the toy language's
 * entailment; B has other pairs of it, or A's own pairs with the opposite labels. B is learned with a new classifier,
 * while A's answers A's questions on B's encoder; or with A's classifier, which is trained on.
 */
import { cohort, grid, pipeline, type } from "kasosei"
import { toyCorpus } from "kasosei/plugins/data/toy-corpus"
import { toyEntailment } from "kasosei/plugins/data/toy-entailment"
import { toyVocabulary } from "kasosei/plugins/data/toy-vocabulary"
import { classification } from "kasosei/plugins/finetune/classification"
import { mlm } from "kasosei/plugins/pretrain/mlm"
import { modelOf } from "kasosei/plugins/pretrain/model-of"
import { evaluate } from "kasosei/plugins/probe/evaluate"
import { lineChart } from "kasosei/plugins/report/line-chart"
import { reversed } from "../plugins/data/reversed.ts"

export default pipeline({
  name: "a-then-b",
  summary: "Forgetting: accuracy on a first task while a second one is learned",
  parameters: type({
    "+": "reject",
    /** Hidden size of the encoder, which has 2 layers. */
    hidden: type("4 <= number % 4 <= 65536").default(64),
    /** Updates of masked-language modelling, 64 sentences each. */
    mlmSteps: "1 <= number.integer <= 100000000 = 1500",
    /** How many pairs each task has to learn from, and a ninth of it to be asked. */
    train: "16 <= number.integer <= 10000000 = 4980",
    lr: "0 < number < 1 = 0.0003",
    seeds: type("number.integer >= 0")
      .array()
      .default(() => [1, 2, 3]),
    /** After how many updates of the second task the first is asked again. */
    every: "1 <= number.integer <= 100000000 = 78",
  }),
  build: ({ hidden, mlmSteps, train, lr, seeds, every }) => {
    const vocabulary = toyVocabulary({})
    const corpus = toyCorpus({ vocabulary, sentences: 64 * mlmSteps, restated: true })
    const size = { layers: 2, hidden, heads: 4, intermediate: 4 * hidden }
    const pretraining = { steps: mlmSteps, batchSize: 64, lr: 0.002, warmupRatio: 0.1, dropout: 0 }
    const checkpoint = mlm({ corpus, vocabulary, size, positions: 64, ...pretraining })

    const count = { train, dev: Math.ceil(train / 9) }
    const a = toyEntailment({ vocabulary, ...count })
    const tasks = {
      "other pairs": toyEntailment({ vocabulary, ...count, seed: 43 }),
      reversed: reversed({ data: a }),
    }
    const learned = (seed: number) => classification({ data: a, checkpoint, lr, seed, keepModel: true })
    const axes = { task: ["other pairs", "reversed"], classifier: ["new", "checkpoint"] } as const
    const forgetting = grid(axes, ({ task, classifier }) =>
      cohort({ task, classifier }, seeds, (seed) => {
        const first = modelOf(learned(seed))
        // With the seed of the first run, a new classifier would be drawn as the first one was.
        const second = { data: tasks[task], checkpoint: first, lr, seed: 1000 + seed, classifier }
        const head = classifier === "new" ? first : undefined
        const steps = { at: [0], every, last: true }
        return evaluate({ run: classification(second), data: a, head, steps })
      }),
    )
    const chart = lineChart({
      title: "Accuracy on A while B is learned",
      x: "step",
      y: "value",
      colour: "task",
      facet: "classifier",
      xTitle: "Updates on B",
      yTitle: "Accuracy on A's dev split",
      observations: forgetting,
    })
    return { chart }
  },
})
