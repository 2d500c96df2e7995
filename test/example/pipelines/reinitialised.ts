/**
 * bun run pipeline reinitialised.ts
 *
 * The pooler, and one or both of the layers, are drawn anew before fine-tuning.
 */
import { cohort, pipeline, type } from "kasosei"
import { classification } from "kasosei/plugins/finetune/classification"
import { reportsOf, toyInputs, toyParameters } from "./shared/toy.ts"

export default pipeline({
  name: "reinitialised",
  summary: "Fine-tuning from a model whose top layers are drawn anew",
  parameters: type({ "+": "reject", ...toyParameters }),
  build: ({ lr, seeds, ...given }) => {
    const { checkpoint, data } = toyInputs(given)
    const arms = {
      pretrained: {},
      "new-pooler": { reinitialise: 0 },
      "new-layer": { reinitialise: 1 },
      "new-layers": { reinitialise: 2 },
    }
    const runs = Object.entries(arms).map(([arm, settings]) =>
      cohort({ arm, lr }, seeds, (seed) => classification({ data, checkpoint, lr, seed, ...settings })),
    )
    return reportsOf("Fine-tuning with re-initialised layers", runs)
  },
})
