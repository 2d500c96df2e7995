/** The arms of the paper's study, and those that tell what else may have caused what they show. */
import { InvalidInput } from "../../core/io/decode.ts"
import { adamw } from "../../core/tensor/optimisers/adamw.ts"
import { mlm } from "../../plugins/pretrain/mlm.ts"
import { simcse } from "../../plugins/pretrain/simcse.ts"
import type { StudyInput } from "./input.ts"
import { paperSettings, type StudyParameters } from "./parameters.ts"
import { type Arm, asItIs, perSeed } from "./study.ts"

type ArmParameters = Pick<StudyParameters, "dropout" | "simcseSeeds" | "temperature" | "controls" | "pooler">

/**
 * Vanilla, SimCSE with each dropout rate and seed, and control arms: `MLM`, masked-language modelling continued for as
 * many updates on the same sentences with SimCSE's optimiser and dropout 0.1; `SimCSE(0)`, whose two views of a sentence
 * are the same; and for each arm `… with a fresh pooler`, which fine-tunes the same checkpoints with a pooler drawn anew.
 *
 * @throws InvalidInput if every arm has a fresh pooler anyway
 */
export const armsOf = (p: ArmParameters, input: StudyInput): readonly Arm[] => {
  const without = p.controls.includes("no-dropout") && !p.dropout.includes(0) ? [0] : []
  const contrastive = [...p.dropout, ...without].map((dropout) => ({
    name: `SimCSE(${dropout})`,
    checkpoints: perSeed(p.simcseSeeds, (seed) =>
      simcse({ ...input.further(seed), dropout, temperature: p.temperature }),
    ),
  }))
  const arms: readonly Arm[] = [
    { name: "vanilla", checkpoints: asItIs(input.vanilla) },
    ...contrastive,
    ...(p.controls.includes("mlm") ? [continued(p.simcseSeeds, input)] : []),
  ]
  if (!p.controls.includes("fresh-pooler")) return arms
  if (p.pooler === "fresh") {
    const problems = ["fresh-pooler needs pooler=kept: with pooler=fresh, it would give every arm twice"]
    throw new InvalidInput({ what: "controls", problems })
  }
  return [...arms, ...arms.map((arm) => withFreshPooler(arm, input))]
}

/** Vanilla and SimCSE(0.1), for pipelines that compare the two, and the control arms asked for. */
export const vanillaAndSimcse = (
  simcseSeeds: readonly number[],
  input: StudyInput,
  controls: StudyParameters["controls"] = [],
): readonly Arm[] => {
  const { temperature, pooler } = paperSettings
  return armsOf({ dropout: [0.1], simcseSeeds: [...simcseSeeds], temperature, pooler, controls }, input)
}

const continued = (seeds: readonly number[], input: StudyInput): Arm => ({
  name: "MLM",
  checkpoints: perSeed(seeds, (seed) => continuedMlm(input, seed)),
})

/** Masked-language modelling that goes on from vanilla, on the sentences and for the updates of SimCSE, by its optimiser. */
export const continuedMlm = ({ further, vocabulary }: StudyInput, seed: number, dropout = 0.1) => {
  const { dev: _, evalEvery: __, selection: ___, ...training } = further(seed)
  const optimiser = adamw({ epsilon: 1e-8 })
  return mlm({ ...training, vocabulary, dropout, warmupRatio: 0, optimiser, nextSentence: true })
}

/** The same checkpoints, fine-tuned with a pooler that is drawn anew. */
export const withFreshPooler = ({ name, checkpoints }: Arm, { fineTune }: StudyInput): Arm => ({
  name: `${name} with a fresh pooler`,
  checkpoints,
  fineTune: (settings) => fineTune({ ...settings, reinitialise: 0 }),
})
