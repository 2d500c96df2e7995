/** How a unit has ended that a task of a launch was to make, as far as the store tells. */
import type { UnitOutcome } from "../job.ts"
import type { Stored } from "../store/stored.ts"

/** Of a unit that left neither an artifact nor a failure. */
export const neverEnded = {
  status: "failed",
  kind: "lost",
  reason: "its task ended before it did, or never began",
} as const

type Ending =
  | Extract<UnitOutcome, { status: "diverged" }>
  | Omit<Extract<UnitOutcome, { status: "failed" }>, "without">

/**
 * Why a unit has no artifact; undefined if its task has not said so.
 *
 * @param launch its id: a failure that was recorded in another one says nothing of this one
 */
export const endingOf = (
  key: string,
  stored: Exclude<Stored, { status: "done" }>,
  launch: string,
): Ending | undefined => {
  if (stored.status === "diverged") {
    const { reason, step } = stored.failure
    return { key, status: "diverged", reason, ...(step === undefined ? {} : { step }) }
  }
  const { failed } = stored
  return failed?.launch === launch
    ? { key, status: "failed", kind: failed.kind, reason: failed.reason }
    : undefined
}
