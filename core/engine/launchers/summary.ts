/** How a plan ended whose jobs other processes have carried out, as the store tells. */
import { Effect } from "effect"
import type { Failure, Summary } from "../execute.ts"
import type { Graph } from "../graph.ts"
import { Store } from "../store/store.ts"
import type { Stored } from "../store/stored.ts"
import { singleInputsOf, type Unit } from "../unit.ts"
import { neverEnded } from "./task.ts"

/**
 * @param given the keys of the units that were to be made
 * @throws FileError
 */
export const summaryOf = Effect.fn("summaryOf")(function* (graph: Graph, given: ReadonlySet<string>) {
  const store = yield* Store
  const found = yield* Effect.forEach(graph.units, (unit) => store.stored(unit), { concurrency: 16 })
  let reused = 0
  let made = 0
  const failures = new Map<Unit, Failure>()
  for (const [index, unit] of graph.units.entries()) {
    const stored = found[index]!
    if (stored.status === "done") given.has(unit.key) ? made++ : reused++
    else if (stored.status === "diverged" || given.has(unit.key))
      failures.set(unit, failureOf(unit, stored, failures))
  }
  return { reused, made, failures: [...failures.values()] } satisfies Summary
})

const failureOf = (
  unit: Unit,
  stored: Exclude<Stored, { status: "done" }>,
  before: ReadonlyMap<Unit, Failure>,
): Failure => {
  if (stored.status === "diverged") {
    const { reason, step } = stored.failure
    return { unit, status: "diverged", reason, ...(step === undefined ? {} : { step }) }
  }
  const lacked = singleInputsOf(unit).find((input) => before.has(input))
  if (lacked !== undefined) {
    const reason = `not started: it needs the output of ${lacked.label}`
    return { unit, status: "failed", kind: "blocked", reason, without: before.get(lacked)!.without ?? lacked }
  }
  const { failed } = stored
  return failed === undefined
    ? { unit, status: "failed", kind: "lost", reason: neverEnded }
    : { unit, status: "failed", kind: "plugin", reason: failed }
}
