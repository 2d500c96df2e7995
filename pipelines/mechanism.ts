/**
 * bun run pipeline mechanism.ts
 * bun run pipeline mechanism.ts --set glue=DIR --set task=sst2 --set corpus=FILE --set vocabulary=FILE
 *
 * What of contrastive further training restores the Fisher's rank: alignment, uniformity, dropout, more steps, or the
 * pooler? Arms of one part each go on from one model for as many updates, and all probes compare them before
 * fine-tuning, of which nothing is run. Takes about 3 minutes on 2 cores with the backend native, most of it to train the arms.
 */
import { type } from "arktype"
import { mapCohort, pipeline } from "../core/api/pipeline.ts"
import type { Node } from "../core/api/plugin.ts"
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
import { inputOf, inputParameters } from "./shared/input.ts"
import { runSeeds } from "./shared/parameters.ts"
import { partsOf } from "./shared/parts.ts"
import { rankBefore } from "./shared/quantities.ts"
import { cohortsOf, type StudyRun } from "./shared/study.ts"

const step = 0
const fresh = (arm: string) => `${arm} with a fresh pooler`
/** The Fisher's rank is higher in the arm, over layers, seeds and checkpoints. */
const above =
  (family: string, than: string, ...differs: string[]) =>
  (arm: string) =>
    observed({ ...rankBefore, arm, than, differs, direction: "higher", family })
const training = "further training"
const pooler = "reinitialise of fine-tuning"
const dropout = "dropout of further training"
/**
 * Over arms, the rank of the whole encoder goes with what another probe observes. Arms with a fresh pooler do not count:
 * they have the encoders of others.
 */
const goesWith =
  (arms: string[]) =>
  (direction: "positive" | "negative", column: string, called: string, where = {}) => {
    const y = {
      ...{ column: "normalised", where: { step, block: "encoder" } },
      called: "the encoder's normalised effective rank before fine-tuning",
    }
    return association({
      x: { column, where: { step, ...where }, called },
      y,
      direction,
      units: "cohorts",
      arms,
    })
  }
const chart = (y: string, facet = "block", more = {}) =>
  ({ title: `${y} by arm`, x: "arm", y, facet, yAxis: "own", ...more }) as const

export default pipeline({
  name: "mechanism",
  summary: "What of contrastive further training restores the rank: arms of one part each, all probes",
  parameters: type({
    "+": "reject",
    ...inputParameters,
    /** Seeds of further training, each of which gives every further-trained arm a checkpoint. */
    simcseSeeds: runSeeds.default(() => [42, 43, 44, 45, 46]),
    /** Seeds that draw the classifier and the examples of the probes. */
    seeds: runSeeds.default(() => Array.from({ length: 8 }, (_, i) => i + 1)),
    /** How many examples the Fisher and the gradient's noise are computed from. */
    samples: "2 <= number.integer <= 256 = 32",
  }),
  build: ({ simcseSeeds, seeds, samples, ...p }) => {
    const input = inputOf(p)
    const { data, vanilla } = input
    const parts = partsOf(simcseSeeds, input)
    const together = goesWith(parts.flatMap(({ name, fineTune }) => (fineTune === undefined ? [name] : [])))
    const runs = parts.flatMap((arm) =>
      cohortsOf(arm, {}, seeds, (checkpoint, seed) =>
        (arm.fineTune ?? input.fineTune)({ data, checkpoint, lr: input.lr[0], seed }),
      ),
    )
    const observe = <N extends Node>(probe: (run: StudyRun) => N) => runs.map((of) => mapCohort(of, probe))
    const steps = { at: [step] }
    const report = claimsPage({
      title: `What restores the rank: ${input.title}`,
      provenance: input.provenance,
      claims: [
        ...["SimCSE(0.1)", "SimCSE(0)", "alignment and uniformity", "uniformity", "alignment", "MLM"].map(
          above("parts", "vanilla", training),
        ),
        ...["SimCSE(0.1)", "uniformity", "alignment"]
          .map(fresh)
          .map(above("pooler", fresh("vanilla"), training)),
        above("pooler", fresh("SimCSE(0.1)"), pooler)("SimCSE(0.1)"),
        above("pooler", "vanilla", pooler)(fresh("vanilla")),
        above("dropout", "MLM(0)", dropout)("MLM"),
        above("dropout", "SimCSE(0)", dropout)("SimCSE(0.1)"),
        above("contrast", "MLM", training)("SimCSE(0.1)"),
        together("negative", "anisotropy", "the anisotropy of the pooler's output", { block: "pooler" }),
        together("negative", "uniformity", "the uniformity loss of the pooler's output", { block: "pooler" }),
        together("positive", "alignment", "the alignment loss of the pooler's output", { block: "pooler" }),
        together("positive", "slope", "the mean slope of the pooler's tanh"),
      ],
      charts: [
        ...["normalised", "anisotropy", "uniformity", "alignment", "centredRank", "cka"].map((y) => chart(y)),
        ...["weightRank", "distance"].map((y) => chart(y, "weight", { colour: "block" })),
        chart("slope", "step"),
        chart("noiseScale"),
      ],
      runs: [],
      observations: [
        ...observe((run) => fisher({ run, steps, samples })),
        ...observe((run) => gradientNoise({ run, steps, samples })),
        ...observe((run) => representation({ run, steps })),
        ...observe((run) => alignment({ run, steps })),
        ...observe((run) => poolerSaturation({ run, steps })),
        ...observe((run) => cka({ run, steps, reference: vanilla })),
        ...observe((run) => weightRank({ run, steps, reference: vanilla })),
      ],
    })
    return { report }
  },
})
