/** One job of a launch, carried out by a process that was started for it alone, on whatever machine. */
import { type Duration, Effect } from "effect"
import { pauseAfter, recordFailures } from "../execute.ts"
import { type Missing, remaining, type UnitOutcome } from "../job.ts"
import { type Launch, settingsOf } from "../launch.ts"
import { type Job, jobFor, keysGivenBy, keysTakenBy, unitsGivenBy } from "../plan.ts"
import { workerProcesses } from "../processes.ts"
import { Store } from "../store/store.ts"
import { singleInputsOf, type Unit } from "../unit.ts"
import { endingOf, neverEnded } from "./ending.ts"
import { openLaunch } from "./open.ts"

export interface TaskSettings {
  readonly out: string
  /** The job's index in the launch. */
  readonly job: number
  /** How many it may use. */
  readonly threads: number
  readonly timeLimit: Duration.Duration | undefined
  readonly onLog: (line: string) => void
}

/** A task with what became of it. */
export interface TaskEnded {
  readonly job: Job
  /** Of all units that it would make. */
  readonly outcomes: readonly UnitOutcome[]
}

/**
 * Makes what a job gives and the store does not have yet. A unit whose input is not there is not begun; members of
 * cohorts may be missing.
 */
export const runTask = Effect.fn("runTask")(function* (
  launch: Launch,
  { out, job: index, threads, timeLimit, onLog }: TaskSettings,
) {
  const { graph, given } = yield* openLaunch(out, launch)
  const units = new Map(graph.units.map((unit) => [unit.key, unit]))
  const { unit, wanted, observers } = launch.jobs[index]!
  const at = (place: number): Unit => units.get(launch.units[place]!.key)!
  const planned = jobFor(at(unit), wanted, observers.map(at))
  const missing = yield* missingFor(planned, units, given, launch.id)
  const { job: left, outcomes: there } = yield* remaining(planned, missing)
  if (left === undefined) return { job: planned, outcomes: there } satisfies TaskEnded
  const { job, outcomes: blocked } = withoutBlocked(left, missing, units)
  const before = [...there, ...blocked]
  if (job === undefined) return { job: planned, outcomes: before } satisfies TaskEnded
  const runner = yield* workerProcesses({
    ...settingsOf(out, launch),
    processes: 1,
    threads,
    timeLimit,
    onLog,
  })
  for (let tries = 0; ; tries++) {
    const reply = yield* runner(job, missing, { started: Effect.void, progress: () => Effect.void })
    if ("held" in reply) {
      if (tries === 0) onLog(`${job.unit.label}: ${reply.held} makes it; waiting`)
      yield* Effect.sleep(pauseAfter(tries))
      continue
    }
    yield* recordFailures(reply, units, launch.id)
    return { job: planned, outcomes: [...before, ...reply] } satisfies TaskEnded
  }
}, Effect.scoped)

/**
 * Why what a job takes is not there. What was there when it was launched is not missing but damaged, or gone: the job
 * is told so once it opens it.
 */
const missingFor = Effect.fnUntraced(function* (
  job: Job,
  units: ReadonlyMap<string, Unit>,
  given: ReadonlySet<string>,
  launch: string,
): Effect.fn.Return<Missing, never, Store> {
  const store = yield* Store
  const missing = new Map<string, Extract<UnitOutcome, { reason: string }>>()
  for (const key of new Set(keysTakenBy(job))) {
    const stored = yield* Effect.orElseSucceed(store.stored(units.get(key)!), () => ({
      status: "absent" as const,
    }))
    if (stored.status === "diverged" || (stored.status === "absent" && given.has(key)))
      missing.set(key, endingOf(key, stored, launch) ?? { key, ...neverEnded })
  }
  return missing
})

/** What is left of a job without the units that a single input is missing of. */
const withoutBlocked = (
  job: Job,
  missing: Missing,
  units: ReadonlyMap<string, Unit>,
): { readonly job: Job | undefined; readonly outcomes: readonly UnitOutcome[] } => {
  const lackedBy = (unit: Unit) => singleInputsOf(unit).find((input) => missing.has(input.key))
  const blocked = (made: readonly Unit[], lacked: Unit): readonly UnitOutcome[] =>
    made.map(({ key }) => ({
      key,
      status: "failed",
      kind: "blocked",
      reason: `not started: it needs the output of ${units.get(lacked.key)!.label}, which is not there: ${missing.get(lacked.key)!.reason}`,
      without: lacked.key,
    }))
  const lacked = lackedBy(job.unit)
  if (lacked !== undefined) return { job: undefined, outcomes: blocked(unitsGivenBy(job), lacked) }
  const outcomes = job.observers.flatMap((observer) => {
    const input = lackedBy(observer)
    return input === undefined ? [] : blocked([observer], input)
  })
  const given = new Set(outcomes.map(({ key }) => key))
  const left = jobFor(
    job.unit,
    job.wanted,
    job.observers.filter(({ key }) => !given.has(key)),
  )
  return { job: keysGivenBy(left).length === 0 ? undefined : left, outcomes }
}
