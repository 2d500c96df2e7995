/**
 * bun run pipeline quickstart.ts
 *
 * The whole study at toy scale, offline: a small BERT learns the embedded toy language by masked-language modelling,
 * is further trained by SimCSE, and both are fine-tuned on the language's entailment pairs. Gives figures 1 to 4 and
 * tables 1 and 2 in out/quickstart/report/index.html. Of the three learning rates, the first is too small to learn
 * entailment, the second learns it, and the third fails with some seeds.
 *
 * Takes 1 minute on 2 cores with the backend native, 3 minutes with wasm.
 */
import { type } from "arktype"
import { pipeline } from "../core/api/pipeline.ts"
import { toyCorpus } from "../plugins/data/toy-corpus.ts"
import { toyEntailment } from "../plugins/data/toy-entailment.ts"
import { toySimilarity } from "../plugins/data/toy-similarity.ts"
import { toyVocabulary } from "../plugins/data/toy-vocabulary.ts"
import { mlm } from "../plugins/pretrain/mlm.ts"
import { simcse } from "../plugins/pretrain/simcse.ts"
import { dropoutRates, learningRates, runSeeds } from "./shared/parameters.ts"
import { asItIs, perSeed, study } from "./shared/study.ts"

export default pipeline({
  name: "quickstart",
  summary: "The embedded toy language, offline, in minutes",
  parameters: type({
    "+": "reject",
    /** Layers of the encoder. */
    layers: "1 <= number.integer <= 1024 = 2",
    /** Hidden size of the encoder; its feed-forward networks are four times as wide. */
    hidden: type("4 <= number % 4 <= 65536")
      .describe("a multiple of 4, the number of heads, from 4 to 65536")
      .default(64),
    /** Sentences in each of the two corpora, one for masked-language modelling and one for SimCSE. */
    sentences: "64 <= number.integer <= 10000000 = 100000",
    /** Updates of masked-language modelling, 64 sentences each. */
    mlmSteps: "1 <= number.integer <= 100000000 = 1500",
    /** Peak learning rate of masked-language modelling. */
    mlmLr: "0 < number < 1 = 0.002",
    /** Dropout rates of SimCSE, each of which gives a further-trained model; empty for none. */
    dropout: dropoutRates.default(() => [0.1]),
    /** Updates of SimCSE. */
    simcseSteps: "1 <= number.integer <= 100000000 = 200",
    /** Peak learning rate of SimCSE. */
    simcseLr: "0 < number < 1 = 0.0001",
    /** How many entailment pairs to fine-tune on. */
    train: "16 <= number.integer <= 10000000 = 4980",
    /** How many entailment pairs to measure accuracy on. */
    dev: "2 <= number.integer <= 10000000 = 554",
    /** Seeds of SimCSE, each of which gives a model for every dropout rate. */
    simcseSeeds: runSeeds.default(() => [42]),
    /** Peak learning rates of fine-tuning. */
    lr: learningRates.default(() => [3e-5, 3e-4, 1e-3]),
    /** Seeds of fine-tuning, each of which gives a run for every model and learning rate. */
    seeds: runSeeds.default(() => [1, 2, 3, 4, 5]),
    /** Epochs of fine-tuning; fractions are allowed. */
    epochs: "0 < number <= 10000 = 3",
    /** How many training examples the empirical Fisher is computed from: its largest possible rank. */
    samples: "1 <= number.integer <= 256 = 32",
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
      checkpoints: perSeed(p.simcseSeeds, (seed) =>
        simcse({
          seed,
          corpus: toyCorpus({ sentences: p.sentences, vocabulary }),
          dev: toySimilarity({ vocabulary }),
          checkpoint: vanilla,
          dropout,
          lr: p.simcseLr,
          steps: p.simcseSteps,
          evalEvery: 50,
        }),
      ),
    }))
    const arms = [{ name: "vanilla", checkpoints: asItIs(vanilla) }, ...furtherTrained]
    const { report } = study({
      title: "SimCSE after masked-language modelling: a toy language",
      provenance: {
        model: `BERT of ${p.layers} layers, hidden size ${p.hidden}, ${p.mlmSteps} steps of masked-language modelling`,
        data: "the embedded toy language",
      },
      data,
      arms,
      lr: p.lr,
      seeds: p.seeds,
      fineTuning: { epochs: p.epochs },
      samples: p.samples,
      watched: { arms: arms.slice(0, 2).map(({ name }) => name), lr: p.lr, seeds: p.seeds.slice(0, 1) },
    })
    return { report }
  },
})
