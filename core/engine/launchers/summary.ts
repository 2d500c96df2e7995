/** How a plan ended whose jobs other processes have carried out, as the store tells. */
import { Effect } from "effect"
import type { Failure, Summary } from "../execute.ts"
import type { Graph } from "../graph.ts"
import { Store } from "../store/store.ts"
import type { Stored } from "../store/stored.ts"
import { singleInputsOf, type Unit } from "../unit.ts"
import { endingOf, neverEnded } from "./ending.ts"

/**
 * @param given the keys of the units that were to be made
 * @param launch the id of the launch that was to make them
 * @throws FileError
 */
export const summaryOf = Effect.fn("summaryOf")(function* (
  graph: Graph,
  given: ReadonlySet<string>,
  launch: string,
) {
  const store = yield* Store
  const found = yield* Effect.forEach(graph.units, (unit) => store.stored(unit), { concurrency: 16 })
  let reused = 0
  let made = 0
  const failures = new Map<Unit, Failure>()
  for (const [index, unit] of graph.units.entries()) {
    const stored = found[index]!
    if (stored.status === "done") given.has(unit.key) ? made++ : reused++
    else if (stored.status === "diverged" || given.has(unit.key))
      failures.set(unit, failureOf(unit, stored, failures, launch))
  }
  return { reused, made, failures: [...failures.values()] } satisfies Summary
})

const failureOf = (
  unit: Unit,
  stored: Exclude<Stored, { status: "done" }>,
  before: ReadonlyMap<Unit, Failure>,
  launch: string,
): Failure => {
  const ending = endingOf(unit.key, stored, launch)
  if (ending !== undefined) {
    const { key, ...how } = ending
    return { unit, ...how }
  }
  const lacked = singleInputsOf(unit).find((input) => before.has(input))
  if (lacked === undefined) return { unit, ...neverEnded }
  const reason = `not started: it needs the output of ${lacked.label}`
  return { unit, status: "failed", kind: "blocked", reason, without: before.get(lacked)!.without ?? lacked }
}
