/**
 * bun run pipeline other-methods.ts
 *
 * The study over methods of further training: masked-language modelling continued, SimCSE, supervised SimCSE, DCL,
 * ConSERT, alignment and uniformity, each for as many updates from the same model, and whitening, which trains nothing,
 * for sentence similarity alone. Which of them fails less than vanilla in fine-tuning, has a higher mean, higher ranks
 * of the Fisher before it, a higher score on similarity? Gives verdicts, figures 1 to 4 and tables 1 and 2 in
 * out/other-methods/latest/report/index.html.
 *
 * Takes about 3 minutes on the toy language on 2 cores with the backend native. On real text and a task of GLUE:
 * `--set glue=DIR --set corpus=FILE --set vocabulary=FILE`, with `--set nli=DIR` for supervised SimCSE on MNLI, and
 * `--set sts=DIR`, whose dev set selects checkpoints and whose test set scores them.
 */
import { type } from "arktype"
import { cohort, pipeline } from "../core/api/pipeline.ts"
import { mnli } from "../plugins/data/mnli.ts"
import { sts } from "../plugins/data/sts.ts"
import { toyEntailment } from "../plugins/data/toy-entailment.ts"
import { toySimilarity } from "../plugins/data/toy-similarity.ts"
import { alignmentUniformity } from "../plugins/pretrain/alignment-uniformity.ts"
import { consert } from "../plugins/pretrain/consert.ts"
import { dcl } from "../plugins/pretrain/dcl.ts"
import { simcse } from "../plugins/pretrain/simcse.ts"
import { stsScore } from "../plugins/pretrain/sts-score.ts"
import { supervisedSimcse } from "../plugins/pretrain/supervised-simcse.ts"
import { fewerFailures } from "../plugins/report/shared/claims/fewer-failures.ts"
import { higherMean } from "../plugins/report/shared/claims/higher-mean.ts"
import { observed } from "../plugins/report/shared/claims/observed.ts"
import { continuedMlm } from "./shared/arms.ts"
import { inputOf, inputParameters } from "./shared/input.ts"
import { learningRates, runSeeds } from "./shared/parameters.ts"
import { rankBefore } from "./shared/quantities.ts"
import { asItIs, perSeed, study } from "./shared/study.ts"

/** The arm's score on sentence similarity is higher. */
const higherScore = (sides: { readonly arm: string; readonly than: string; readonly differs: string[] }) =>
  observed({
    ...sides,
    direction: "higher",
    column: "spearman",
    called: "Spearman correlation on sentence similarity",
  })

export default pipeline({
  name: "other-methods",
  summary: "Methods of further training compared: failures, means, ranks and sentence similarity",
  parameters: type({
    "+": "reject",
    ...inputParameters,
    /** Folder of MNLI, whose pairs supervised SimCSE learns from; on real text there is no such arm without it. */
    "nli?": "string > 0",
    /** Seeds of further training, each of which gives a checkpoint of every method. */
    simcseSeeds: runSeeds.default(() => [42, 43, 44]),
    /** Peak learning rates of fine-tuning, by default one at which some runs fail. */
    "lr?": learningRates,
    /** Seeds of fine-tuning, each of which gives a run for every checkpoint and learning rate. */
    seeds: runSeeds.default(() => [1, 2, 3, 4, 5, 6, 7, 8]),
    /** Epochs of fine-tuning; fractions are allowed. */
    epochs: "0 < number <= 10000 = 2",
    /** How many training examples the empirical Fisher is computed from: its largest possible rank. */
    samples: "1 <= number.integer <= 256 = 32",
  }),
  build: (p) => {
    const input = inputOf(p)
    const { vocabulary, vanilla, corpus, further, data, fineTune, provenance } = input
    const [toy, lr] = [p.glue === undefined, p.lr ?? input.lr.slice(1)]
    // Drawn anew: neither the pairs that are fine-tuned on, nor those that select checkpoints.
    const drawn = { vocabulary, seed: 7 }
    const pairs = toy
      ? toyEntailment({ ...drawn, train: 20000 })
      : p.nli && mnli({ source: p.nli, vocabulary })
    const similarity = toy
      ? toySimilarity({ ...drawn, pairs: 2000 })
      : p.sts && sts({ benchmark: "STS-B/test", source: p.sts, vocabulary })

    const methods: Readonly<Record<string, Parameters<typeof perSeed>[1]>> = {
      MLM: (seed) => continuedMlm(input, seed),
      SimCSE: (seed) => simcse(further(seed)),
      DCL: (seed) => dcl(further(seed)),
      ConSERT: (seed) => consert(further(seed)),
      "alignment and uniformity": (seed) => alignmentUniformity(further(seed)),
      ...(pairs && {
        "supervised SimCSE": (seed) => {
          const { corpus: _, ...training } = further(seed)
          return supervisedSimcse({ ...training, data: pairs })
        },
      }),
    }
    const names = Object.keys(methods)
    const arms = [
      { name: "vanilla", checkpoints: asItIs(vanilla) },
      ...names.map((name) => ({ name, checkpoints: perSeed(p.simcseSeeds, methods[name]!) })),
    ]

    const folds = Array.from({ length: 10 }, (_, i) => i + 1)
    const plain = arms.flatMap(({ name: arm, checkpoints }) =>
      checkpoints.map(({ seed, checkpoint }) => ({
        labels: seed === null ? { arm } : { arm, checkpoint: seed },
        given: { checkpoint },
      })),
    )
    const whitened = { labels: { arm: "whitening" }, given: { checkpoint: vanilla, corpus, sentences: 4000 } }
    const whitening = ["corpus of sts-score", "sentences of sts-score"]
    const scoresOn = (pairs: ReturnType<typeof toySimilarity>) =>
      [...plain, whitened].map(({ labels, given }) =>
        cohort(labels, folds, (fold) => stsScore({ ...given, similarity: pairs, fold, folds: folds.length })),
      )

    const sides = { than: "vanilla", differs: ["further training"] }
    const { report } = study({
      title: `Methods of further training: ${input.title}`,
      ...{ provenance, data, arms, lr, seeds: p.seeds, fineTune, samples: p.samples },
      fineTuning: { epochs: p.epochs },
      watched: { arms: ["vanilla", "SimCSE"], lr: lr.slice(0, 1), seeds: p.seeds.slice(0, 1) },
      observed: similarity ? scoresOn(similarity) : [],
      claims: [
        ...names.map((arm) => fewerFailures({ arm, ...sides })),
        ...names.map((arm) => higherMean({ arm, ...sides })),
        ...names.map((arm) => observed({ ...rankBefore, ...sides, direction: "higher", arm })),
        ...(similarity
          ? [
              ...names.map((arm) => higherScore({ ...sides, arm })),
              higherScore({ arm: "whitening", than: "vanilla", differs: whitening }),
            ]
          : []),
      ],
    })
    return { report }
  },
})
