/**
 * bun run pipeline optimisers.ts
 *
 * The same fine-tuning by six optimisers, one of them this project's own. Their updates differ in size, and so do their
 * learning rates.
 */
import { adafactor, adamw, cohort, lion, pipeline, sgd, type } from "kasosei"
import { classification } from "kasosei/plugins/finetune/classification"
import { signSgd } from "../plugins/optimisers/sign-sgd.ts"
import { reportsOf, toyInputs, toyParameters } from "./shared/toy.ts"

export default pipeline({
  name: "optimisers",
  summary: "AdamW with and without bias correction, SGD, Lion, Adafactor and sign SGD",
  parameters: type({ "+": "reject", ...toyParameters }),
  build: ({ lr, seeds, ...given }) => {
    const { checkpoint, data } = toyInputs(given)
    const arms = {
      adamw: { optimiser: adamw({}), lr },
      "adamw-uncorrected": { optimiser: adamw({ biasCorrection: false }), lr },
      sgd: { optimiser: sgd({}), lr: 100 * lr },
      lion: { optimiser: lion({}), lr: lr / 4 },
      adafactor: { optimiser: adafactor({}), lr },
      "sign-sgd": { optimiser: signSgd({}), lr: lr / 4 },
    }
    const runs = Object.entries(arms).map(([arm, { optimiser, lr }]) =>
      cohort({ arm, lr }, seeds, (seed) => classification({ data, checkpoint, lr, seed, optimiser })),
    )
    return reportsOf("Fine-tuning by six optimisers", runs)
  },
})
