/**
 * bun run pipeline mini.ts --set rte=DIR --set corpus=FILE --set vocabulary=FILE
 *
 * The study on real input without pretrained weights: a BERT trained from scratch by masked-language modelling on
 * Wikipedia sentences, further trained by SimCSE, fine-tuned on RTE. Gives figures 1 to 4 and tables 1 and 2.
 *
 * With its defaults (size tiny) it takes 6 minutes on 2 cores of an EPYC with the backend native, about an hour with
 * wasm. A short trial of everything takes 15 seconds with native and 2 minutes with wasm:
 * `--set mlmSteps=50 --set simcseSteps=20 --set epochs=0.2 --set lr=1e-4,5e-4 --set seeds=1,2`.
 */
import { type } from "arktype"
import { pipeline } from "../core/api/pipeline.ts"
import { rte } from "../plugins/data/rte.ts"
import { sentences } from "../plugins/data/sentences.ts"
import { sts } from "../plugins/data/sts.ts"
import { vocabulary } from "../plugins/data/vocabulary.ts"
import { mlm } from "../plugins/pretrain/mlm.ts"
import { simcse } from "../plugins/pretrain/simcse.ts"
import { dropoutRates, learningRates, runSeeds } from "./shared/parameters.ts"
import { asItIs, perSeed, study } from "./shared/study.ts"

export default pipeline({
  name: "mini",
  summary: "Real RTE and Wikipedia sentences, a BERT from scratch, sizes tiny to base",
  parameters: type({
    "+": "reject",
    /** GLUE's folder RTE, with train.tsv and dev.tsv; or `hf://datasets/owner/name`. */
    rte: "string > 0",
    /** Text to train on, one sentence per line: a .txt or .gz file. */
    corpus: "string > 0",
    /** BERT's vocab.txt or tokenizer.json. */
    vocabulary: "string > 0",
    /** Folder of STS-B, whose dev set selects among SimCSE's checkpoints; by default the last one is kept. */
    "sts?": "string > 0",
    /** Size of the encoder. */
    size: "'tiny' | 'mini' | 'small' | 'medium' | 'base' = 'tiny'",
    /** How many sentences of the corpus to use, from its start. */
    sentences: "64 <= number.integer <= 100000000 = 20000",
    /** Maximum tokens per pair of RTE, special tokens included; longer pairs are truncated. */
    maxLength: "5 <= number.integer <= 512 = 128",
    /** Updates of masked-language modelling. */
    mlmSteps: "1 <= number.integer <= 100000000 = 2000",
    /** Sentences per update of masked-language modelling. */
    mlmBatch: "1 <= number.integer <= 65536 = 64",
    /** Peak learning rate of masked-language modelling. */
    mlmLr: "0 < number < 1 = 0.0005",
    /** Dropout rates of SimCSE, each of which gives a further-trained model; empty for none. */
    dropout: dropoutRates.default(() => [0.1]),
    /** Updates of SimCSE. */
    simcseSteps: "1 <= number.integer <= 100000000 = 300",
    /** Peak learning rate of SimCSE. */
    simcseLr: "0 < number < 1 = 0.0001",
    /** Seeds of SimCSE, each of which gives a model for every dropout rate. */
    simcseSeeds: runSeeds.default(() => [42]),
    /** Peak learning rates of fine-tuning. */
    lr: learningRates.default(() => [1e-5, 5e-5, 2e-4]),
    /** Seeds of fine-tuning, each of which gives a run for every model and learning rate. */
    seeds: runSeeds.default(() => [1, 2, 3, 4, 5]),
    /** Epochs of fine-tuning; fractions are allowed. */
    epochs: "0 < number <= 10000 = 3",
    /** How many training examples the empirical Fisher is computed from: its largest possible rank. */
    samples: "1 <= number.integer <= 256 = 16",
  }),
  build: (p) => {
    const words = vocabulary({ source: p.vocabulary })
    const data = rte({ source: p.rte, maxLength: p.maxLength, vocabulary: words })
    const corpus = sentences({ source: p.corpus, limit: p.sentences, maxLength: 32, vocabulary: words })
    const dev =
      p.sts === undefined ? undefined : sts({ benchmark: "STS-B/dev", source: p.sts, vocabulary: words })

    const vanilla = mlm({
      corpus,
      vocabulary: words,
      size: p.size,
      positions: Math.max(32, p.maxLength),
      steps: p.mlmSteps,
      batchSize: p.mlmBatch,
      lr: p.mlmLr,
    })
    const furtherTrained = p.dropout.map((dropout) => ({
      name: `SimCSE(${dropout})`,
      checkpoints: perSeed(p.simcseSeeds, (seed) =>
        simcse({ seed, corpus, dev, checkpoint: vanilla, dropout, lr: p.simcseLr, steps: p.simcseSteps }),
      ),
    }))
    const arms = [{ name: "vanilla", checkpoints: asItIs(vanilla) }, ...furtherTrained]
    const { report } = study({
      title: `SimCSE after masked-language modelling: BERT-${p.size} on RTE`,
      provenance: {
        model: `BERT-${p.size}, ${p.mlmSteps} steps of masked-language modelling`,
        data: `RTE, at most ${p.maxLength} tokens`,
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
