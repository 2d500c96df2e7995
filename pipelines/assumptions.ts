/**
 * bun run pipeline assumptions.ts
 *
 * A multiverse over the settings that the paper leaves unsaid: each is changed by itself, or with `--set together=2`
 * also in pairs, and the paper's claims are judged under every specification. Gives specification curves and, for each
 * claim, which settings flip its verdict, in out/assumptions/latest/report.
 *
 * On the toy language it takes about 2 minutes on 2 cores with the backend native. On a task of GLUE: `--set glue=DIR --set
 * corpus=FILE --set vocabulary=FILE --set task=sst2 --set trainExamples=2490 --set size=mini --set lr=2e-4`.
 */
import { type } from "arktype"
import { mapCohort, pipeline } from "../core/api/pipeline.ts"
import { simcse } from "../plugins/pretrain/simcse.ts"
import { fisher } from "../plugins/probe/fisher.ts"
import { fewerFailures } from "../plugins/report/shared/claims/fewer-failures.ts"
import { higherMean } from "../plugins/report/shared/claims/higher-mean.ts"
import { observed } from "../plugins/report/shared/claims/observed.ts"
import { smallerSpread } from "../plugins/report/shared/claims/smaller-spread.ts"
import { specificationCurve } from "../plugins/report/specification-curve.ts"
import { inputOf, inputParameters } from "./shared/input.ts"
import { fineTuningOf, paperSettings, runSeeds, simcseParameters } from "./shared/parameters.ts"
import { rankBefore } from "./shared/quantities.ts"
import { asItIs, cohortsOf, perSeed, type StudyRun } from "./shared/study.ts"

/** What each setting might have been instead; the first value is the one presumed. */
const alternatives = {
  clip: [paperSettings.clip, 1e6],
  epsilon: [paperSettings.epsilon, 1e-8],
  decay: [paperSettings.decay, 0.01],
  fineTuneDropout: [paperSettings.fineTuneDropout, 0],
  pooler: [paperSettings.pooler, "fresh"],
  temperature: [paperSettings.temperature, 0.1],
  simcseBatch: [paperSettings.simcseBatch, 32],
  selection: [paperSettings.selection, "last"],
} as const
type Setting = keyof typeof alternatives
type Specification = { readonly [S in Setting]: (typeof alternatives)[S][number] }
const settings = Object.keys(alternatives) as Setting[]
const presumed = Object.fromEntries(settings.map((name) => [name, alternatives[name][0]])) as Specification

/** The presumed specification, and those that differ from it in at most `together` settings. */
const specifications = (together: number, from: readonly Setting[] = settings): readonly Specification[] =>
  together === 0
    ? [presumed]
    : [
        presumed,
        ...from.flatMap((name, i) =>
          specifications(together - 1, from.slice(i + 1)).map((others) => ({
            ...others,
            [name]: alternatives[name][1],
          })),
        ),
      ]

/** How the Fisher is computed: settings of what is observed, not of the runs. */
const estimates = { samples: [16, 32], threshold: [0.9, 0.95, 0.99, 0.999] } as const

export default pipeline({
  name: "assumptions",
  summary: "A multiverse over what the paper leaves unsaid: which verdicts flip?",
  parameters: type({
    "+": "reject",
    ...inputParameters,
    simcseSeeds: simcseParameters.simcseSeeds,
    /** The peak learning rate of every run; by default one at which some of them fail. */
    "lr?": "0 < number < 1",
    seeds: runSeeds.default(() => [1, 2, 3, 4, 5, 6]),
    /** In how many settings at a time a specification may differ from the one presumed. */
    together: "1 <= number.integer <= 8 = 1",
  }),
  build: ({ simcseSeeds, lr: given, seeds, together, ...p }) => {
    const input = inputOf(p)
    const lr = given ?? input.lr[1]
    const runs = specifications(together).flatMap((specification) => {
      const { temperature, simcseBatch, selection } = specification
      const further = perSeed(simcseSeeds, (seed) => {
        const training = { ...input.further(seed), batchSize: simcseBatch, selection }
        return simcse({ ...training, dropout: 0.1, temperature })
      })
      const options = { data: input.data, lr, ...fineTuningOf({ ...paperSettings, ...specification }) }
      return [
        { name: "vanilla", checkpoints: asItIs(input.vanilla) },
        { name: "SimCSE(0.1)", checkpoints: further },
      ].flatMap((arm) =>
        cohortsOf(arm, { lr, ...specification }, seeds, (checkpoint, seed) =>
          input.fineTune({ ...options, checkpoint, seed }),
        ),
      )
    })
    const observations = estimates.samples.flatMap((samples) =>
      estimates.threshold.flatMap((threshold) =>
        runs.map((of) => {
          const probe = (run: StudyRun) => fisher({ run, samples, threshold, steps: { at: [0] } })
          return mapCohort(of, probe, { samples, threshold })
        }),
      ),
    )
    const sides = { arm: "SimCSE(0.1)", than: "vanilla", differs: ["further training"] }
    const report = specificationCurve({
      title: `What the paper leaves unsaid: ${input.title}`,
      presumed: { ...presumed, samples: paperSettings.samples, threshold: paperSettings.threshold },
      ofRuns: [fewerFailures(sides), smallerSpread(sides), higherMean(sides)],
      ofObservations: [observed({ ...rankBefore, ...sides, direction: "higher" })],
      runs,
      observations,
    })
    return { report }
  },
})
