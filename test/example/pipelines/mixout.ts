/**
 * bun run pipeline mixout.ts
 *
 * Mixout puts the pretrained value in the place of many weights, others in every update, beside plain fine-tuning.
 */
import { cohort, mixout, pipeline, type } from "kasosei"
import { classification } from "kasosei/plugins/finetune/classification"
import { reportsOf, toyInputs, toyParameters } from "./shared/toy.ts"

export default pipeline({
  name: "mixout",
  summary: "Fine-tuning with weights that are mixed with the pretrained ones",
  parameters: type({ "+": "reject", ...toyParameters }),
  build: ({ lr, seeds, ...given }) => {
    const { checkpoint, data } = toyInputs(given)
    const arms = {
      plain: {},
      "mixout-0.5": { parametrisation: mixout({ probability: 0.5 }) },
      "mixout-0.9": { parametrisation: mixout({ probability: 0.9 }) },
    }
    const runs = Object.entries(arms).map(([arm, settings]) =>
      cohort({ arm, lr }, seeds, (seed) => classification({ data, checkpoint, lr, seed, ...settings })),
    )
    return reportsOf("Fine-tuning with mixout", runs)
  },
})
