/** The parts of contrastive further training, each an arm of its own. */
import { alignmentUniformity } from "../../plugins/pretrain/alignment-uniformity.ts"
import { simcse } from "../../plugins/pretrain/simcse.ts"
import { continuedMlm, withFreshPooler } from "./arms.ts"
import type { StudyInput } from "./input.ts"
import { type Arm, asItIs, perSeed } from "./study.ts"

/**
 * Arms that go on from `vanilla` for as many updates: SimCSE with dropout 0.1 and without dropout; alignment and
 * uniformity of Wang and Isola 2020, each alone and together; masked-language modelling with dropout 0.1 (`MLM`) and
 * without (`MLM(0)`). Vanilla's pooler, which MLM trains on, learned from next sentences; the others draw one and train
 * it by their own loss. So some arms are there again with a pooler that is drawn anew.
 *
 * @param seeds of further training, each of which gives a checkpoint of every arm but vanilla
 */
export const partsOf = (seeds: readonly number[], input: StudyInput): readonly Arm[] => {
  // The last checkpoint, not the best, so that all arms have had as many updates.
  const further = (seed: number) => ({ ...input.further(seed), selection: "last" as const })
  const arm = (name: string, train: Parameters<typeof perSeed>[1]): Arm => {
    return { name, checkpoints: perSeed(seeds, train) }
  }
  const again = [
    { name: "vanilla", checkpoints: asItIs(input.vanilla) },
    arm("SimCSE(0.1)", (seed) => simcse({ ...further(seed), dropout: 0.1 })),
    arm("alignment", (seed) => alignmentUniformity({ ...further(seed), uniformity: 0 })),
    arm("uniformity", (seed) => alignmentUniformity({ ...further(seed), alignment: 0 })),
  ]
  return [
    ...again,
    arm("alignment and uniformity", (seed) => alignmentUniformity(further(seed))),
    arm("SimCSE(0)", (seed) => simcse({ ...further(seed), dropout: 0 })),
    arm("MLM", (seed) => continuedMlm(input, seed)),
    arm("MLM(0)", (seed) => continuedMlm(input, seed, 0)),
    ...again.map((arm) => withFreshPooler(arm, input)),
  ]
}
