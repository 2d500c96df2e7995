/**
 * bun run pipeline batch-size.ts
 *
 * Batch size beside the learning rate: fine-tuning from vanilla and from SimCSE(0.1) over batch sizes and learning
 * rates, with the Fisher's number of examples held fixed, so that ranks of different batch sizes compare. Gives maps of
 * the metric and of the rank after fine-tuning, with the linear and the square-root scaling of learning rates, and the
 * verdicts on claims, in out/batch-size/latest.
 *
 * On the toy language it takes about 3 minutes on 2 cores with the backend native. On a task of GLUE:
 * `--set glue=DIR --set corpus=FILE --set vocabulary=FILE --set task=sst2 --set trainExamples=2490 --set size=mini
 * --set lr=5e-5,1e-4,2e-4,4e-4`.
 */
import { type } from "arktype"
import { grid, mapCohort, pipeline } from "../core/api/pipeline.ts"
import { fisher } from "../plugins/probe/fisher.ts"
import { claimsPage } from "../plugins/report/claims.ts"
import { scalingMap } from "../plugins/report/scaling-map.ts"
import { fewerFailures } from "../plugins/report/shared/claims/fewer-failures.ts"
import { observed } from "../plugins/report/shared/claims/observed.ts"
import { slope } from "../plugins/report/shared/claims/slope.ts"
import { vanillaAndSimcse } from "./shared/arms.ts"
import { inputOf, inputParameters } from "./shared/input.ts"
import { learningRates, runSeeds } from "./shared/parameters.ts"
import { rankAfter } from "./shared/quantities.ts"
import { cohortsOf } from "./shared/study.ts"

export default pipeline({
  name: "batch-size",
  summary: "Batch size × learning rate, with the Fisher's N held fixed: which scaling keeps a run stable?",
  parameters: type({
    "+": "reject",
    ...inputParameters,
    /** Seeds of SimCSE, each of which gives a checkpoint. */
    simcseSeeds: runSeeds.default(() => [42, 43, 44]),
    /** Examples per update of fine-tuning. */
    batch: type("1 <= number.integer <= 65536")
      .array()
      .atLeastLength(2)
      .default(() => [8, 16, 32, 64]),
    lr: learningRates.default(() => [2e-4, 4e-4, 8e-4, 1.6e-3]),
    seeds: runSeeds.default(() => [1, 2, 3, 4]),
    /** Examples that the empirical Fisher is computed from, the same for every batch size. */
    samples: "1 <= number.integer <= 256 = 16",
    /** Epochs of fine-tuning; fractions are allowed. */
    epochs: "0 < number <= 10000 = 2",
  }),
  build: ({ simcseSeeds, batch, lr, seeds, samples, epochs, ...p }) => {
    const input = inputOf(p)
    const { data, fineTune, title, provenance } = input
    const runs = grid({ arm: vanillaAndSimcse(simcseSeeds, input), batch, lr }, ({ arm, batch, lr }) =>
      cohortsOf(arm, { batch, lr }, seeds, (checkpoint, seed) =>
        fineTune({ data, checkpoint, lr, seed, batchSize: batch, epochs }),
      ),
    ).flat()
    const ranks = runs.map((of) =>
      mapCohort(of, (run) => fisher({ run, samples, steps: { at: [0], last: true } })),
    )
    const sides = { arm: "SimCSE(0.1)", than: "vanilla", differs: ["further training"] }
    const [small, large] = [Math.min(...batch), Math.max(...batch)]
    const claims = [
      ...[1, 0.5].map((exponent) =>
        slope({ x: "batch", y: "best lr", is: { equals: exponent, within: 0.25 } }),
      ),
      slope({ x: "batch", y: "best lr", is: "positive", family: "best lr" }),
      fewerFailures(sides),
      ...[sides.arm, sides.than].flatMap((arm) => [
        fewerFailures({
          ...{ arm: { batch: large }, than: { batch: small }, where: { arm } },
          differs: ["batchSize of fine-tuning"],
          family: "batch",
        }),
        observed({
          ...rankAfter,
          arm: { batch: small },
          than: { batch: large },
          differs: ["batchSize of fine-tuning"],
          where: { ...rankAfter.where, arm },
          called: `${rankAfter.called} from ${arm}`,
          direction: "higher",
          family: "batch and rank",
        }),
      ]),
      observed({ ...rankAfter, ...sides, direction: "higher" }),
    ]
    return {
      report: claimsPage({ title: `Batch size: ${title}`, provenance, claims, runs, observations: ranks }),
      metric: scalingMap({ title: `Metric: ${title}`, facet: "arm", runs, observations: [] }),
      rank: scalingMap({
        title: `Normalised effective rank of the Fisher after fine-tuning, N = ${samples}: ${title}`,
        facet: "arm",
        column: "normalised",
        where: { block: "encoder", step: "last" },
        runs: [],
        observations: ranks,
      }),
    }
  },
})
