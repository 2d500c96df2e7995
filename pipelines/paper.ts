/**
 * bun run pipeline paper.ts --plan
 * bun run pipeline paper.ts --backend tensorflow
 *
 * The study of "対照損失による追加学習が BERT のファインチューニングにもたらす効果" (NLP 2025): BERT-large as released
 * and after SimCSE with five dropout rates, fine-tuned on RTE at six learning rates with 30 seeds each; effective ranks
 * before fine-tuning (30 seeds) and during it, and trajectories. Gives figures 1 to 4 and tables 1 and 2.
 *
 * 1,080 runs of 468 steps and 5 × 15,625 steps of SimCSE take months on a processor, so read the plan first, and run a
 * part of it: `--set seeds=1..5 --set lr=1e-5,2e-5 --set dropout=0.1`.
 *
 * Weights, RTE, STS-B and the sentences come from the Hugging Face hub or, with `--set model=… --set rte=… --set sts=…
 * --set corpus=…`, from local folders and files.
 */
import { type } from "arktype"
import { pipeline } from "../core/api/pipeline.ts"
import { rte } from "../plugins/data/rte.ts"
import { sentences } from "../plugins/data/sentences.ts"
import { sts } from "../plugins/data/sts.ts"
import { vocabulary } from "../plugins/data/vocabulary.ts"
import { pretrained } from "../plugins/pretrain/pretrained.ts"
import { simcse } from "../plugins/pretrain/simcse.ts"
import { dropoutRates, learningRates, runSeeds } from "./shared/parameters.ts"
import { asItIs, perSeed, study, watchedOf } from "./shared/study.ts"

export default pipeline({
  name: "paper",
  summary: "BERT-large, SimCSE with five dropout rates, RTE, six learning rates, 30 seeds, all probes",
  parameters: type({
    "+": "reject",
    /** Model in the Hugging Face layout: a folder, or `hf://owner/name`. */
    model: "string > 0 = 'hf://google-bert/bert-large-uncased'",
    /** Size of that model. */
    size: "'tiny' | 'mini' | 'small' | 'medium' | 'base' | 'large' = 'large'",
    /** GLUE's folder RTE, with train.tsv and dev.tsv, or a data set on the hub. */
    rte: "string > 0 = 'hf://datasets/nyu-mll/glue'",
    /** Folder of STS-B, or a data set on the hub; its dev set selects among SimCSE's checkpoints. */
    sts: "string > 0 = 'hf://datasets/nyu-mll/glue'",
    /** Text for SimCSE, one sentence per line: a .txt or .gz file. */
    corpus: "string > 0 = 'hf://datasets/princeton-nlp/datasets-for-simcse/wiki1m_for_simcse.txt'",
    /** How many sentences of the corpus to use, from its start. */
    sentences: "64 <= number.integer <= 100000000 = 1000000",
    /** Maximum tokens per pair of RTE, special tokens included; longer pairs are truncated. */
    maxLength: "5 <= number.integer <= 512 = 128",
    /** Dropout rates of SimCSE, each of which gives a further-trained model; empty for none. */
    dropout: dropoutRates.default(() => [0.05, 0.1, 0.3, 0.4, 0.5]),
    /** Peak learning rate of SimCSE. */
    simcseLr: "0 < number < 1 = 0.00001",
    /** Seeds of SimCSE, each of which gives a model for every dropout rate. */
    simcseSeeds: runSeeds.default(() => [42]),
    /** Peak learning rates of fine-tuning. */
    lr: learningRates.default(() => [5e-6, 1e-5, 1.5e-5, 2e-5, 2.5e-5, 3e-5]),
    /** Seeds of fine-tuning, each of which gives a run for every model and learning rate. */
    seeds: runSeeds.default(() => Array.from({ length: 30 }, (_, i) => i + 1)),
    /** How many training examples the empirical Fisher is computed from: its largest possible rank. */
    samples: "1 <= number.integer <= 256 = 16",
    /** Arms whose runs are probed during fine-tuning; by default vanilla and SimCSE(0.1), where they are run. */
    "watchedArms?": "string[]",
    /** Learning rates of the runs probed during fine-tuning; by default 1e-5, 2e-5 and 3e-5, where they are run. */
    "watchedLr?": type("number > 0").array(),
    /** Seeds of the runs probed during fine-tuning; by default 1, or the first if 1 is not run. */
    "watchedSeeds?": type("number.integer >= 0").array(),
  }),
  build: (p) => {
    const words = vocabulary({ source: `${p.model}/vocab.txt` })
    const data = rte({ source: p.rte, maxLength: p.maxLength, vocabulary: words })
    const corpus = sentences({ source: p.corpus, limit: p.sentences, maxLength: 32, vocabulary: words })
    const dev = sts({ benchmark: "STS-B/dev", source: p.sts, vocabulary: words })

    const vanilla = pretrained({ source: p.model, size: p.size })
    const furtherTrained = p.dropout.map((dropout) => ({
      name: `SimCSE(${dropout})`,
      checkpoints: perSeed(p.simcseSeeds, (seed) =>
        simcse({ seed, corpus, dev, checkpoint: vanilla, dropout, lr: p.simcseLr, epochs: 1 }),
      ),
    }))
    const arms = [{ name: "vanilla", checkpoints: asItIs(vanilla) }, ...furtherTrained]
    const names = arms.map(({ name }) => name)
    const { report } = study({
      title: "Further training of BERT with a contrastive loss",
      provenance: { model: p.model, data: `RTE, at most ${p.maxLength} tokens`, corpus: p.corpus },
      data,
      arms,
      lr: p.lr,
      seeds: p.seeds,
      samples: p.samples,
      watched: {
        arms: p.watchedArms ?? watchedOf(["vanilla", "SimCSE(0.1)"], names),
        lr: p.watchedLr ?? watchedOf([1e-5, 2e-5, 3e-5], p.lr),
        seeds: p.watchedSeeds ?? watchedOf([1], p.seeds),
      },
    })
    return { report }
  },
})
