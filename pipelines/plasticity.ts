/**
 * bun run pipeline plasticity.ts
 *
 * Fine-tune on A, then on B, then ask A again: does the Fisher's effective rank before B predict B's result, and how
 * much of A is forgotten? A is learned from vanilla and from SimCSE(0.1), at several learning rates and lengths, so that
 * models begin B with different ranks. Gives the verdicts on claims and charts in out/plasticity/latest/report.
 *
 * On the toy language A is entailment and B is acceptability; it takes about 3 minutes on 2 cores with the backend native. On
 * two tasks of GLUE: `--set glue=DIR --set corpus=FILE --set vocabulary=FILE --set size=mini --set task=sst2 --set
 * second=cola --set trainExamples=2490 --set lr=5e-5,2e-4 --set secondLr=1e-4`.
 */
import { type } from "arktype"
import { grid, mapCohort, pipeline } from "../core/api/pipeline.ts"
import { toyAcceptability } from "../plugins/data/toy-acceptability.ts"
import { modelOf } from "../plugins/pretrain/model-of.ts"
import { evaluate } from "../plugins/probe/evaluate.ts"
import { fisher } from "../plugins/probe/fisher.ts"
import { claimsPage } from "../plugins/report/claims.ts"
import { association } from "../plugins/report/shared/claims/association.ts"
import { higherMean } from "../plugins/report/shared/claims/higher-mean.ts"
import { observed } from "../plugins/report/shared/claims/observed.ts"
import { vanillaAndSimcse } from "./shared/arms.ts"
import { inputOf, inputParameters } from "./shared/input.ts"
import { learningRates, runSeeds, taskName } from "./shared/parameters.ts"
import { rankBefore } from "./shared/quantities.ts"
import { cohortsOf } from "./shared/study.ts"
import { taskOf } from "./shared/tasks.ts"

export default pipeline({
  name: "plasticity",
  summary: "A, then B, then A again: does the rank before B predict B's result, and what is forgotten?",
  parameters: type({
    "+": "reject",
    ...inputParameters,
    /** Seeds of SimCSE, each of which gives a checkpoint. */
    simcseSeeds: runSeeds.default(() => [42, 43, 44]),
    /** The task of GLUE that is learned second. */
    second: taskName.default("cola"),
    /** Peak learning rates of the first task. */
    lr: learningRates.default(() => [1e-4, 3e-4, 1e-3]),
    /** Epochs of the first task. */
    epochs: type("0 < number <= 10000")
      .array()
      .atLeastLength(1)
      .default(() => [1, 3]),
    /** Peak learning rate of the second task. */
    secondLr: "0 < number < 1 = 0.0003",
    /** Epochs of the second task. */
    secondEpochs: "0 < number <= 10000 = 1",
    seeds: runSeeds.default(() => [1, 2, 3, 4]),
    /** Examples of the second task that the empirical Fisher is computed from. */
    samples: "1 <= number.integer <= 256 = 16",
  }),
  build: ({ simcseSeeds, second, lr, epochs, secondLr, secondEpochs, seeds, samples, ...p }) => {
    const input = inputOf(p)
    const { data: a, vocabulary, fineTune, title, provenance } = input
    const cut = p.trainExamples === undefined ? {} : { trainExamples: p.trainExamples }
    const b =
      p.glue === undefined
        ? toyAcceptability({ train: p.train ?? 4980, dev: p.dev ?? 554, vocabulary })
        : taskOf(second).data({ source: p.glue, maxLength: p.maxLength ?? 128, ...cut, vocabulary })
    const fineTuneSecond = p.glue === undefined ? fineTune : taskOf(second).fineTune
    const steps = { at: [0], last: true }
    const cohorts = grid({ arm: vanillaAndSimcse(simcseSeeds, input), epochs, lr }, ({ arm, epochs, lr }) => {
      const firsts = cohortsOf(arm, { epochs, lr }, seeds, (checkpoint, seed) =>
        modelOf(fineTune({ data: a, checkpoint, lr, seed, epochs, keepModel: true })),
      )
      return firsts.map((of) => {
        // With the seed of the first run, a new classifier would be drawn as the first one was.
        const second = { data: b, lr: secondLr, epochs: secondEpochs }
        const runs = mapCohort(of, (checkpoint, seed) =>
          fineTuneSecond({ ...second, checkpoint, seed: 1000 + seed }),
        )
        const learned = new Map(of.members.map(({ seed, node }) => [seed, node]))
        return {
          runs,
          ranks: mapCohort(runs, (run) => fisher({ run, samples, steps })),
          asked: mapCohort(runs, (run, seed) => evaluate({ run, data: a, head: learned.get(seed)!, steps })),
        }
      })
    }).flat()
    const rank = {
      ...{ column: "normalised", where: { block: "encoder", step: 0 } },
      called: "the encoder's normalised rank before B",
    }
    const onA = { column: "value", by: "metric" }
    const kept = { ...onA, where: { step: "change" }, called: "the change of A's metric while B is learned" }
    const sides = { arm: "SimCSE(0.1)", than: "vanilla", differs: ["further training"] }
    const chart = (title: string, y: string, where = {}) => {
      return { title, x: "step", y, colour: "arm", facet: "lr", where: { epochs: epochs[0]!, ...where } }
    }
    const report = claimsPage({
      title: `A, then B, then A again: ${title}`,
      provenance,
      claims: [
        ...(["cohorts", "runs"] as const).flatMap((units) => [
          association({ x: rank, y: "metric", direction: "positive", units, family: `rank, ${units}` }),
          association({ x: rank, y: kept, direction: "positive", units, family: `rank, ${units}` }),
        ]),
        higherMean({ ...sides, family: "SimCSE" }),
        observed({
          ...rankBefore,
          ...sides,
          direction: "higher",
          called: "normalised effective rank before B",
        }),
        observed({
          ...{ ...onA, ...sides, direction: "higher", where: { step: "last" } },
          called: "metric on A after B",
        }),
      ],
      charts: [
        chart("Normalised rank while B is learned", "normalised", { block: "encoder" }),
        chart("Metric on A while B is learned", "value"),
      ],
      runs: cohorts.map(({ runs }) => runs),
      observations: cohorts.flatMap(({ ranks, asked }) => [ranks, asked]),
    })
    return { report }
  },
})
