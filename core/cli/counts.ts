/** How many units of a plan there are and how they ended, in the words that every line and table uses. */
import type { UnitOutcome } from "../engine/job.ts"
import type { Unit } from "../engine/unit.ts"
import { plural } from "../io/format.ts"

/** `41 runs, 65 probes and 13 other units`: runs are fine-tunings. */
export const unitCounts = (units: readonly Unit[]): string => {
  const of = (stage: string) => units.filter(({ plugin }) => plugin.stage === stage).length
  const [runs, probes] = [of("finetune"), of("probe")]
  const others = units.length - runs - probes
  const kinds = [...(runs > 0 ? [plural(runs, "run")] : []), ...(probes > 0 ? [plural(probes, "probe")] : [])]
  if (kinds.length === 0) return plural(others, "unit")
  return listed([...kinds, ...(others > 0 ? [plural(others, "other unit")] : [])])
}

/** `a, b and c`. */
const listed = (parts: readonly string[]): string =>
  parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`

/** How units have ended. A divergence is a result, and what was not started or was stopped did not fail. */
export interface Endings {
  made: number
  diverged: number
  failed: number
  /** Because what they need, or what alone needs them, diverged or failed. */
  notMade: number
}

export const endingOf = (
  outcome: Pick<UnitOutcome, "status"> & { readonly without?: unknown },
): keyof Endings =>
  outcome.status === "done" ? "made" : outcome.without !== undefined ? "notMade" : outcome.status

/** `, 2 diverged, 1 failed, 3 not made`: what is not zero. */
export const mishaps = ({ diverged, failed, notMade }: Endings): readonly string[] =>
  (
    [
      [diverged, "diverged"],
      [failed, "failed"],
      [notMade, "not made"],
    ] as const
  ).flatMap(([count, word]) => (count > 0 ? [`${count} ${word}`] : []))

/** ` diverged at step 12: the loss is NaN`, ` failed: …`. */
export const endedHow = ({
  status,
  reason,
  step,
}: {
  readonly status: "diverged" | "failed"
  readonly reason: string
  readonly step?: number
}): string => `${status}${step === undefined ? "" : ` at step ${step}`}: ${reason}`
