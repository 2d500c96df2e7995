/** What a study of the paper's kind is, from a pipeline's parameters. */
import { paperClaims } from "./claims.ts"
import { controlClaims } from "./control-claims.ts"
import type { StudyInput } from "./input.ts"
import { type FineTuningParameters, fineTuningOf, type StudyParameters, settingsOf } from "./parameters.ts"
import type { Arm, StudySettings } from "./study.ts"

type Parameters = FineTuningParameters &
  Pick<StudyParameters, "samples" | "threshold" | "rankSeeds"> &
  Readonly<Record<string, unknown>>

/** What differs between arms besides what they are named after. */
const poolers =
  "SimCSE draws one anew and trains it by its own loss, as in the paper; vanilla and MLM have one that learned from next sentences. Arms with a fresh pooler (controls=fresh-pooler) tell what that does."

/**
 * All but the title of a study and what it watches: its runs, its claims (the paper's, and those about control arms),
 * and its settings beside the paper's. A pipeline adds the rest, or puts its own in place of a part.
 */
export const studySettings = (
  p: Parameters,
  input: StudyInput,
  arms: readonly Arm[],
): Omit<StudySettings, "title" | "watched"> => {
  const given = { arms: arms.map(({ name }) => name), lr: p.lr }
  return {
    provenance: { ...input.provenance, ...(p.pooler === "kept" ? { poolers } : {}) },
    settings: settingsOf(p, input),
    claims: [...paperClaims(given), ...controlClaims(given)],
    data: input.data,
    arms,
    lr: p.lr,
    seeds: p.seeds,
    fineTuning: fineTuningOf(p),
    fineTune: input.fineTune,
    samples: p.samples,
    threshold: p.threshold,
    ...(p.rankSeeds === undefined ? {} : { rankSeeds: p.rankSeeds }),
  }
}
