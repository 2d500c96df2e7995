/**
 * bun run pipeline mechanism.ts
 * bun run pipeline mechanism.ts --set glue=DIR --set task=sst2 --set corpus=FILE --set vocabulary=FILE
 *
 * What of contrastive further training restores the Fisher's rank: alignment, uniformity, dropout, more steps, or the
 * pooler? Arms of one part each go on from one model for as many updates, and all probes compare them before
 * fine-tuning, of which nothing is run. Takes 3 minutes on 2 cores with the backend native, most of it to train the arms.
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
import { continuedMlm, withFreshPooler } from "./shared/arms.ts"
import { inputOf, inputParameters } from "./shared/input.ts"
import { runSeeds } from "./shared/parameters.ts"
import { type Arm, asItIs, perSeed, type StudyRun } from "./shared/study.ts"

const step = 0
const fresh = (arm: string) => `${arm}, fresh pooler`
/** The Fisher's rank is higher in the arm, over layers, seeds and checkpoints. */
const above = (than: string) => (arm: string) =>
  observed({ arm, than, column: "normalised", by: "layer", direction: "higher", where: { step } })
/** Over arms and checkpoints, the rank of the whole encoder goes with what another probe observes. */
const goesWith = (direction: "positive" | "negative", column: string, where = {}) => {
  const y = { column: "normalised", where: { step, block: "encoder" } }
  return association({ x: { column, where: { step, ...where } }, y, direction, units: "cohorts" })
}
const charts = (facet: string, ...columns: readonly string[]) =>
  columns.map((y) => ({ title: `${y} by ${facet}`, x: "arm", y, facet, yAxis: "own" as const }))

export default pipeline({
  name: "mechanism",
  summary: "What of contrastive further training restores the rank: arms of one part each, all probes",
  parameters: type({
    "+": "reject",
    ...inputParameters,
    /** Seeds of further training, each of which gives a checkpoint of every arm that has any. */
    simcseSeeds: runSeeds.default(() => [42, 43, 44]),
    /** Seeds that draw the classifier and the examples of the probes. */
    seeds: runSeeds.default(() => [1, 2, 3, 4, 5, 6, 7, 8]),
    /** How many examples the Fisher and the gradient's noise are computed from. */
    samples: "2 <= number.integer <= 256 = 32",
  }),
  build: ({ simcseSeeds, seeds, samples, ...p }) => {
    const input = inputOf(p)
    const { data, vanilla } = input
    // The last checkpoint, not the best, so that all arms have had as many updates.
    const further = (seed: number) => ({ ...input.further(seed), dev: undefined })
    const arm = (name: string, train: Parameters<typeof perSeed>[1]): Arm => {
      return { name, checkpoints: perSeed(simcseSeeds, train) }
    }
    const main = [
      { name: "vanilla", checkpoints: asItIs(vanilla) },
      arm("SimCSE(0.1)", (seed) => simcse({ ...further(seed), dropout: 0.1 })),
      arm("alignment", (seed) => alignmentUniformity({ ...further(seed), uniformity: 0 })),
      arm("uniformity", (seed) => alignmentUniformity({ ...further(seed), alignment: 0 })),
    ]
    const arms = [
      ...main,
      arm("both", (seed) => alignmentUniformity(further(seed))),
      arm("SimCSE(0)", (seed) => simcse({ ...further(seed), dropout: 0 })),
      arm("MLM", (seed) => continuedMlm(input, seed)),
      arm("MLM(0)", (seed) => continuedMlm(input, seed, 0)),
      // Of vanilla and MLM the pooler was trained by next-sentence prediction, of the others by their own loss.
      ...main.map((arm) => withFreshPooler(arm, input)),
    ]
    const runs = arms.flatMap(({ name, checkpoints, fineTune = input.fineTune }) =>
      checkpoints.map(({ seed: trained, checkpoint }) =>
        cohort({ arm: name, ...(trained === null ? {} : { checkpoint: trained }) }, seeds, (seed) =>
          fineTune({ data, checkpoint, lr: input.lr[0], seed }),
        ),
      ),
    )
    const observe = <N extends Node>(probe: (run: StudyRun) => N) => runs.map((of) => mapCohort(of, probe))
    const steps = { at: [step] }
    const report = claimsPage({
      title: `What restores the rank: ${input.title}`,
      provenance: input.provenance,
      claims: [
        ...["SimCSE(0.1)", "SimCSE(0)", "both", "uniformity", "alignment", "MLM"].map(above("vanilla")),
        ...["SimCSE(0.1)", "uniformity", "alignment"].map(fresh).map(above(fresh("vanilla"))),
        above("MLM")("SimCSE(0.1)"),
        above("MLM(0)")("MLM"),
        above("SimCSE(0)")("SimCSE(0.1)"),
        above(fresh("SimCSE(0.1)"))("SimCSE(0.1)"),
        goesWith("negative", "anisotropy", { block: "pooler" }),
        goesWith("negative", "uniformity", { block: "pooler" }),
        goesWith("positive", "alignment", { block: "pooler" }),
        goesWith("positive", "slope"),
      ],
      charts: [
        ...charts("block", "normalised", "anisotropy", "uniformity", "alignment", "centredRank", "cka"),
        ...charts("weight", "weightRank", "distance"),
        ...charts("step", "slope"),
        ...charts("block", "noiseScale"),
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
