/**
 * bun run pipeline l2-sp.ts
 *
 * L2-SP draws the weights back to those of the checkpoint: the stronger it is, the less far they move.
 */
import { cohort, l2SP, pipeline, type } from "kasosei"
import { classification } from "kasosei/plugins/finetune/classification"
import { reportsOf, toyInputs, toyParameters } from "./shared/toy.ts"

export default pipeline({
  name: "l2-sp",
  summary: "Fine-tuning with a penalty on the distance from the pretrained weights",
  parameters: type({ "+": "reject", ...toyParameters }),
  build: ({ lr, seeds, ...given }) => {
    const { checkpoint, data } = toyInputs(given)
    const arms = {
      plain: {},
      weak: { regulariser: l2SP({ pretrained: 0.01 }) },
      strong: { regulariser: l2SP({ pretrained: 1 }) },
    }
    const runs = Object.entries(arms).map(([arm, settings]) =>
      cohort({ arm, lr }, seeds, (seed) => classification({ data, checkpoint, lr, seed, ...settings })),
    )
    return reportsOf("Fine-tuning with L2-SP", runs)
  },
})
