/**
 * bun run pipeline mini.ts --set rte=DIR --set corpus=FILE --set vocabulary=FILE
 *
 * The study on real input where no pretrained weights are to be had: a BERT from scratch by masked-language modelling
 * on Wikipedia sentences, further trained by SimCSE, fine-tuned on RTE. Gives figures 1 to 4 and tables 1 and 2.
 *
 *   rte         GLUE's folder RTE with train.tsv and dev.tsv
 *   corpus      one sentence a line, .txt or .gz
 *   vocabulary  BERT's vocab.txt or tokenizer.json
 *   sts         a folder of STS-B, whose dev set selects among SimCSE's checkpoints (without it, the last one is kept)
 *   size        tiny, mini, small, medium or base
 *
 * With its defaults (size tiny) 6 minutes on 2 cores of an EPYC with the backend native, about an hour with wasm.
 * A look at everything, in a quarter of a minute with native and 2 minutes with wasm:
 * `--set mlmSteps=50 --set simcseSteps=20 --set epochs=0.2 --set lr=1e-4,5e-4 --set seeds=1,2`.
 */
import { type } from "arktype"
import { pipeline } from "../core/api/pipeline.ts"
import { glue } from "../plugins/data/glue.ts"
import { sentences } from "../plugins/data/sentences.ts"
import { sts } from "../plugins/data/sts.ts"
import { vocabulary } from "../plugins/data/vocabulary.ts"
import { mlm } from "../plugins/pretrain/mlm.ts"
import { simcse } from "../plugins/pretrain/simcse.ts"
import { study } from "./shared/study.ts"

export default pipeline({
  name: "mini",
  summary: "Real RTE and Wikipedia sentences, a BERT from scratch, sizes tiny to base",
  parameters: type({
    "+": "reject",
    rte: "string > 0",
    corpus: "string > 0",
    vocabulary: "string > 0",
    "sts?": "string > 0",
    size: "'tiny' | 'mini' | 'small' | 'medium' | 'base' = 'tiny'",
    sentences: "number.integer >= 64 = 20000",
    maxLength: "number.integer >= 5 = 128",
    mlmSteps: "number.integer >= 1 = 2000",
    mlmBatch: "number.integer >= 1 = 64",
    mlmLr: type("number > 0").default(5e-4),
    dropout: type("0 <= number < 1")
      .array()
      .default(() => [0.1]),
    simcseSteps: "number.integer >= 1 = 300",
    simcseLr: type("number > 0").default(1e-4),
    lr: type("number > 0")
      .array()
      .default(() => [1e-5, 5e-5, 2e-4]),
    seeds: type("number.integer >= 0")
      .array()
      .default(() => [1, 2, 3, 4, 5]),
    epochs: "number > 0 = 3",
    samples: "number.integer >= 1 = 16",
  }),
  build: (p) => {
    const words = vocabulary({ source: p.vocabulary })
    const data = glue({ task: "RTE", source: p.rte, maxLength: p.maxLength, vocabulary: words })
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
      checkpoint: simcse({ corpus, dev, checkpoint: vanilla, dropout, lr: p.simcseLr, steps: p.simcseSteps }),
    }))
    const arms = [{ name: "vanilla", checkpoint: vanilla }, ...furtherTrained]
    return study({
      title: `SimCSE after masked-language modelling: BERT-${p.size} on RTE`,
      provenance: {
        model: `BERT-${p.size}, ${p.mlmSteps} steps of masked-language modelling`,
        data: `RTE, at most ${p.maxLength} word pieces`,
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
