/**
 * bun run pipeline quickstart.ts
 *
 * The whole study at toy scale, offline: a small BERT learns the embedded toy language by masked-language modelling,
 * is trained further by SimCSE or, as a control, by more of the same, each with three seeds, and is fine-tuned on the
 * language's entailment pairs. Gives claims with verdicts, figures 1 to 4 and tables 1 and 2 in
 * out/quickstart/latest/report/index.html. At the lower learning rate no run fails, at the higher one many do.
 *
 * What it can tell: after SimCSE, the effective ranks before fine-tuning are higher than before it, and than after as
 * many steps of the control. Three seeds are too few to tell anything of failures and means; `--set seeds=1..12` has
 * more.
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
  fineTuningParameters,
  fisherParameters,
  learningRates,
  runSeeds,
  simcseParameters,
  watchedBy,
  watchedParameters,
} from "./shared/parameters.ts"
import { study } from "./shared/study.ts"
import { studySettings } from "./shared/study-settings.ts"

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
    simcseSeeds: runSeeds.default(() => [42, 43, 44]),
    controls: controlArms.default(() => ["mlm"]),
    lr: learningRates.default(() => [3e-4, 1e-3]),
    seeds: runSeeds.default(() => [1, 2, 3]),
    /** Seeds of the ranks before fine-tuning, which take no training. */
    rankSeeds: runSeeds.default(() => [1, 2, 3, 4, 5, 6, 7, 8]),
    samples: "1 <= number.integer <= 256 = 32",
  }),
  build: (p) => {
    const input = toyInput(p)
    const arms = armsOf(p, input)
    const names = arms.map(({ name }) => name)
    const { report } = study({
      ...studySettings(p, input, arms),
      title: `SimCSE after masked-language modelling: ${input.title}`,
      watched: watchedBy(p, { arms: names.slice(0, 2), lr: p.lr, seeds: p.seeds.slice(0, 1) }),
    })
    return { report }
  },
})
