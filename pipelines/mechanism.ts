/**
 * bun run pipeline mechanism.ts
 * bun run pipeline mechanism.ts --set glue=DIR --set task=sst2 --set trainExamples=2490 --set corpus=FILE --set vocabulary=FILE
 *
 * What of contrastive further training restores the rank of the Fisher before fine-tuning: alignment, uniformity,
 * dropout, more steps, or the pooler? Arms that have one part each go on from the same model for as many updates. The
 * Fisher's ranks are compared, and beside them anisotropy, alignment, uniformity, the ranks of representations and
 * weights, how far both have moved, the pooler's saturation and the gradient's noise. Nothing is fine-tuned.
 *
 * Takes 3 minutes on 2 cores with the backend native, most of it further training.
 */
import { type } from "arktype"
import { cohort, mapCohort, pipeline } from "../core/api/pipeline.ts"
import type { Node } from "../core/api/plugin.ts"
import { alignmentUniformity } from "../plugins/pretrain/alignment-uniformity.ts"
import { simcse } from "../plugins/pretrain/simcse.ts"
import { alignment } from "../plugins/probe/alignment.ts"
import { cka } from "../plugins/probe/cka.ts"
import { fisher } from "../plugins/probe/fisher.ts"
import { gradientNoise } from "../plugins/probe/gradient-noise.ts"
import { poolerSaturation } from "../plugins/probe/pooler-saturation.ts"
import { representation } from "../plugins/probe/representation.ts"
import { weightRank } from "../plugins/probe/weight-rank.ts"
import { claimsPage } from "../plugins/report/claims.ts"
import { association } from "../plugins/report/shared/claims/association.ts"
import { observed } from "../plugins/report/shared/claims/observed.ts"
import type { Observed } from "../plugins/report/shared/observed.ts"
import { continuedMlm, withFreshPooler } from "./shared/arms.ts"
import { inputOf, inputParameters } from "./shared/input.ts"
import { runSeeds } from "./shared/parameters.ts"
import { type Arm, asItIs, perSeed, type StudyRun } from "./shared/study.ts"

/** Before the first update. */
const steps = { at: [0] }

/** Each arm with those whose layers have lower ranks on average, by the claims. */
const higher = {
  "SimCSE(0.1)": ["vanilla", "MLM", "SimCSE(0.1), fresh pooler"],
  "SimCSE(0.1), fresh pooler": ["vanilla, fresh pooler"],
  "SimCSE(0)": ["vanilla"],
  alignment: ["vanilla"],
  uniformity: ["vanilla"],
  MLM: ["vanilla", "MLM(0)"],
}
/** With what the rank of the encoder goes over arms and checkpoints, by the claims, and how. */
const goesWith = {
  anisotropy: "negative",
  uniformity: "negative",
  alignment: "positive",
  slope: "positive",
} as const
/** What is drawn by arm, each with its panels. */
const drawn = {
  normalised: ["Normalised rank of the Fisher", "block"],
  anisotropy: ["Anisotropy of [CLS]", "block"],
  uniformity: ["Uniformity of [CLS]", "block"],
  alignment: ["Alignment of [CLS] under dropout", "block"],
  centredRank: ["Normalised rank of [CLS], less its mean", "block"],
  cka: ["CKA of [CLS] with vanilla", "block"],
  weightRank: ["Normalised rank of the weights", "weight"],
  distance: ["Distance of the weights from vanilla", "weight"],
  slope: ["Mean slope of the pooler's tanh", "step"],
  noiseScale: ["Gradient noise scale", "block"],
} as const

export default pipeline({
  name: "mechanism",
  summary: "What of contrastive further training restores the rank: arms of one part each, all probes",
  parameters: type({
    "+": "reject",
    ...inputParameters,
    /** Seeds of further training, each of which gives a checkpoint of every arm that has any. */
    simcseSeeds: runSeeds.default(() => [42, 43, 44]),
    /** Seeds that draw the classifier and the examples of the probes. */
    seeds: runSeeds.default(() => [1, 2, 3, 4, 5]),
    /** How many examples the Fisher and the gradient's noise are computed from. */
    samples: "2 <= number.integer <= 256 = 32",
  }),
  build: (p) => {
    const input = inputOf(p)
    const { data, vanilla, fineTune: usual } = input
    // The last checkpoint of every arm, not the best, so that all have had as many updates.
    const further = (seed: number) => ({ ...input.further(seed), dev: undefined })
    const arm = (name: string, train: Parameters<typeof perSeed>[1]): Arm => {
      return { name, checkpoints: perSeed(p.simcseSeeds, train) }
    }
    const base: Arm = { name: "vanilla", checkpoints: asItIs(vanilla) }
    const whole = arm("SimCSE(0.1)", (seed) => simcse({ ...further(seed), dropout: 0.1 }))
    const runs = [
      base,
      whole,
      arm("SimCSE(0)", (seed) => simcse({ ...further(seed), dropout: 0 })),
      arm("alignment", (seed) => alignmentUniformity({ ...further(seed), uniformity: 0 })),
      arm("uniformity", (seed) => alignmentUniformity({ ...further(seed), alignment: 0 })),
      arm("both", (seed) => alignmentUniformity(further(seed))),
      arm("MLM", (seed) => continuedMlm(input, seed)),
      arm("MLM(0)", (seed) => continuedMlm(input, seed, 0)),
      withFreshPooler(base, input),
      withFreshPooler(whole, input),
    ].flatMap(({ name, checkpoints, fineTune = usual }) =>
      checkpoints.map(({ seed: trained, checkpoint }) =>
        cohort({ arm: name, ...(trained === null ? {} : { checkpoint: trained }) }, p.seeds, (seed) =>
          fineTune({ data, checkpoint, lr: input.lr[0], seed }),
        ),
      ),
    )
    const probes: readonly ((run: StudyRun) => Node<typeof Observed>)[] = [
      ...[fisher, gradientNoise].map((probe) => (run: StudyRun) => probe({ run, steps, samples: p.samples })),
      ...[representation, alignment, poolerSaturation].map(
        (probe) => (run: StudyRun) => probe({ run, steps }),
      ),
      ...[cka, weightRank].map((probe) => (run: StudyRun) => probe({ run, steps, reference: vanilla })),
    ]
    const report = claimsPage({
      title: `What restores the rank: ${input.title}`,
      provenance: input.provenance,
      claims: [
        ...Object.entries(higher).flatMap(([arm, others]) =>
          others.map((than) =>
            observed({
              arm,
              than,
              column: "normalised",
              by: "layer",
              direction: "higher",
              where: { step: 0 },
            }),
          ),
        ),
        ...Object.entries(goesWith).map(([column, direction]) => {
          const x = { column, where: { step: 0, ...(column === "slope" ? {} : { block: "pooler" }) } }
          const y = { column: "normalised", where: { step: 0, block: "encoder" } }
          return association({ x, y, direction, units: "cohorts" })
        }),
      ],
      charts: Object.entries(drawn).map(([y, [title, facet]]) => ({
        title,
        x: "arm",
        y,
        facet,
        yAxis: "own",
      })),
      runs: [],
      observations: probes.flatMap((observe) => runs.map((of) => mapCohort(of, observe))),
    })
    return { report }
  },
})
