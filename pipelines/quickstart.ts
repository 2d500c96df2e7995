/**
 * bun run pipeline quickstart.ts
 *
 * The whole study at toy scale, offline: a small BERT learns the embedded toy language by masked-language modelling,
 * is further trained by SimCSE, and both are fine-tuned on the language's entailment pairs. Gives figures 1 to 4 and
 * tables 1 and 2 in out/quickstart/report/index.html. Of the three learning rates the first is too small, the second
 * learns entailment, and the third fails with some seeds.
 *
 * On 2 cores a minute with the backend native, three with wasm.
 */
import { type } from "arktype"
import { pipeline } from "../core/api/pipeline.ts"
import { toyCorpus } from "../plugins/data/toy-corpus.ts"
import { toyEntailment } from "../plugins/data/toy-entailment.ts"
import { toySimilarity } from "../plugins/data/toy-similarity.ts"
import { toyVocabulary } from "../plugins/data/toy-vocabulary.ts"
import { mlm } from "../plugins/pretrain/mlm.ts"
import { simcse } from "../plugins/pretrain/simcse.ts"
import { study } from "./shared/study.ts"

export default pipeline({
  name: "quickstart",
  summary: "The embedded toy language, offline, in minutes",
  parameters: type({
    "+": "reject",
    layers: "number.integer >= 1 = 2",
    hidden: "number.integer >= 4 = 64",
    sentences: "number.integer >= 64 = 100000",
    mlmSteps: "number.integer >= 1 = 1500",
    mlmLr: type("number > 0").default(2e-3),
    dropout: type("0 <= number < 1")
      .array()
      .default(() => [0.1]),
    simcseSteps: "number.integer >= 1 = 200",
    simcseLr: type("number > 0").default(1e-4),
    train: "number.integer >= 16 = 4980",
    dev: "number.integer >= 2 = 554",
    lr: type("number > 0")
      .array()
      .default(() => [3e-5, 3e-4, 1e-3]),
    seeds: type("number.integer >= 0")
      .array()
      .default(() => [1, 2, 3, 4, 5]),
    epochs: "number > 0 = 3",
    samples: "number.integer >= 1 = 32",
  }),
  build: (p) => {
    const vocabulary = toyVocabulary({})
    const data = toyEntailment({ train: p.train, dev: p.dev, vocabulary })

    const vanilla = mlm({
      corpus: toyCorpus({ sentences: p.sentences, restated: true, vocabulary }),
      vocabulary,
      size: { layers: p.layers, hidden: p.hidden, heads: 4, intermediate: 4 * p.hidden },
      positions: 64,
      steps: p.mlmSteps,
      batchSize: 64,
      lr: p.mlmLr,
      warmupRatio: 0.1,
      dropout: 0,
    })
    const furtherTrained = p.dropout.map((dropout) => ({
      name: `SimCSE(${dropout})`,
      checkpoint: simcse({
        corpus: toyCorpus({ sentences: p.sentences, vocabulary }),
        dev: toySimilarity({ vocabulary }),
        checkpoint: vanilla,
        dropout,
        lr: p.simcseLr,
        steps: p.simcseSteps,
        evalEvery: 50,
      }),
    }))
    const arms = [{ name: "vanilla", checkpoint: vanilla }, ...furtherTrained]
    return study({
      title: "SimCSE after masked-language modelling: a toy language",
      provenance: {
        model: `BERT of ${p.layers} layers, hidden size ${p.hidden}, ${p.mlmSteps} steps of masked-language modelling`,
        data: "the embedded toy language",
      },
      data,
      arms,
      lr: p.lr,
      seeds: p.seeds,
      epochs: p.epochs,
      samples: p.samples,
      watched: { arms: arms.slice(0, 2).map(({ name }) => name), lr: p.lr, seeds: p.seeds.slice(0, 1) },
    })
  },
})
