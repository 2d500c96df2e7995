/**
 * bun run pipeline quickstart.ts
 *
 * The whole study at toy scale, offline: a small BERT learns the embedded toy language by masked-language modelling,
 * is further trained by SimCSE or, as a control, by more of the same, and all are fine-tuned on the language's
 * entailment pairs. Gives figures 1 to 4 and tables 1 and 2 in out/quickstart/report/index.html.
 *
 * Takes 1 minute on 2 cores with the backend native, 3 minutes with wasm.
 */
import { type } from "arktype"
import { pipeline } from "../core/api/pipeline.ts"
import { armsOf } from "./shared/arms.ts"
import { toyInput, toyParameters } from "./shared/input.ts"
import {
  controlArms,
  dropoutRates,
  fineTuningOf,
  fineTuningParameters,
  fisherParameters,
  learningRates,
  runSeeds,
  settingsOf,
  simcseParameters,
  watchedBy,
  watchedParameters,
} from "./shared/parameters.ts"
import { study } from "./shared/study.ts"

export default pipeline({
  name: "quickstart",
  summary: "The embedded toy language, offline, in minutes",
  parameters: type({
    "+": "reject",
    ...simcseParameters,
    ...toyParameters,
    ...fineTuningParameters,
    ...fisherParameters,
    ...watchedParameters,
    dropout: dropoutRates.default(() => [0.1]),
    controls: controlArms.default(() => ["mlm"]),
    lr: learningRates.default(() => [3e-4, 1e-3]),
    seeds: runSeeds.default(() => [1, 2, 3, 4, 5]),
    samples: "1 <= number.integer <= 256 = 32",
  }),
  build: (p) => {
    const input = toyInput(p)
    const arms = armsOf(p, input)
    const { report } = study({
      title: `SimCSE after masked-language modelling: ${input.title}`,
      provenance: input.provenance,
      settings: settingsOf(p, input),
      data: input.data,
      arms,
      lr: p.lr,
      seeds: p.seeds,
      fineTuning: fineTuningOf(p),
      fineTune: input.fineTune,
      samples: p.samples,
      threshold: p.threshold,
      ...(p.rankSeeds === undefined ? {} : { rankSeeds: p.rankSeeds }),
      watched: watchedBy(p, { arms: ["vanilla"], lr: p.lr, seeds: p.seeds.slice(0, 1) }),
    })
    return { report }
  },
})
