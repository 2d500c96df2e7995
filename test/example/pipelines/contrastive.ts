/**
 * bun run pipeline contrastive.ts
 *
 * Further training by four losses of two views of a sentence, each fine-tuned afterwards.
 */
import { cohort, pipeline, type } from "kasosei"
import { toyCorpus } from "kasosei/plugins/data/toy-corpus"
import { classification } from "kasosei/plugins/finetune/classification"
import { dcl } from "kasosei/plugins/pretrain/dcl"
import { simcse } from "kasosei/plugins/pretrain/simcse"
import { barlowTwins } from "../plugins/pretrain/barlow-twins.ts"
import { vicreg } from "../plugins/pretrain/vicreg.ts"
import { reportsOf, toyInputs, toyParameters } from "./shared/toy.ts"

export default pipeline({
  name: "contrastive",
  summary: "SimCSE, DCL, Barlow Twins and VICReg before fine-tuning",
  parameters: type({
    "+": "reject",
    ...toyParameters,
    /** Updates of further training, 64 sentences each. */
    steps: "1 <= number.integer <= 100000 = 100",
  }),
  build: ({ lr, seeds, steps, ...given }) => {
    const { vocabulary, checkpoint, data } = toyInputs(given)
    const further = { corpus: toyCorpus({ vocabulary, sentences: 64 * steps }), checkpoint, steps, lr: 1e-4 }
    const arms = {
      vanilla: checkpoint,
      simcse: simcse(further),
      dcl: dcl(further),
      "barlow-twins": barlowTwins({ ...further, projection: 64 }),
      vicreg: vicreg({ ...further, projection: 64 }),
    }
    const runs = Object.entries(arms).map(([arm, checkpoint]) =>
      cohort({ arm, lr }, seeds, (seed) => classification({ data, checkpoint, lr, seed })),
    )
    return reportsOf("Fine-tuning after four contrastive losses", runs)
  },
})
