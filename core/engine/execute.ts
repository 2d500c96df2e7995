/** Runs a plan: each job starts as soon as its inputs are ready; a failure is data, and the other jobs continue. */
import { Deferred, Effect } from "effect"
import type { Missing, UnitOutcome } from "./job.ts"
import type { FailureKind } from "./messages.ts"
import { type Job, jobFor, keysGivenBy, keysTakenBy, type Plan } from "./plan.ts"
import type { JobProgress, JobRunner } from "./processes.ts"
import { Store } from "./store/store.ts"
import type { Unit } from "./unit.ts"

/** What happens while a plan runs. */
export type Event =
  | { readonly type: "started"; readonly job: Job }
  | { readonly type: "progress"; readonly job: Job; readonly progress: JobProgress }
  | { readonly type: "ended"; readonly job: Job; readonly outcomes: readonly UnitOutcome[] }

/** A unit without an artifact, and the reason. */
export interface Failure {
  readonly unit: Unit
  readonly status: "diverged" | "failed"
  /** Of a unit that failed. */
  readonly kind?: FailureKind
  readonly reason: string
  readonly step?: number
  /** If it was not started: the failed unit whose output it needs. */
  readonly without?: Unit
}

/** How a plan ended. */
export interface Summary {
  /** Units that were already in the store. */
  readonly reused: number
  readonly made: number
  readonly failures: readonly Failure[]
}

/**
 * Runs a plan.
 *
 * @param runner runs one job, usually in another process; it decides how many run in parallel
 * @param onEvent receives the events, in order
 */
export const execute = Effect.fn("execute")(function* (
  plan: Plan,
  runner: JobRunner,
  onEvent: (event: Event) => Effect.Effect<void>,
) {
  const store = yield* Store
  const units = new Map(plan.graph.units.map((unit) => [unit.key, unit]))
  const pending = new Map<string, Deferred.Deferred<UnitOutcome>>()
  for (const job of plan.jobs)
    for (const key of keysGivenBy(job)) pending.set(key, yield* Deferred.make<UnitOutcome>())

  /** How a unit ended, in an earlier execution or in this one; waits until it has. */
  const outcomeOf = (key: string): Effect.Effect<UnitOutcome> => {
    const deferred = pending.get(key)
    if (deferred !== undefined) return Deferred.await(deferred)
    const stored = plan.stored.get(key)
    return Effect.succeed(
      stored?.status === "diverged"
        ? { key, status: "diverged", reason: stored.failure.reason, ...stepOf(stored.failure) }
        : { key, status: "done", seconds: 0 },
    )
  }

  const perform = Effect.fnUntraced(function* (job: Job) {
    const inputs = yield* Effect.forEach(keysTakenBy(job), outcomeOf)
    const missing: Missing = new Map(
      inputs.flatMap((input) => (input.status === "done" ? [] : [[input.key, input] as const])),
    )
    const without = blockedBy(job.unit, missing)
    const outcomes: UnitOutcome[] = []
    const block = (keys: readonly string[], why: Why) => {
      const cause = (why.status === "failed" ? why.without : undefined) ?? why.key
      const reason = `not started: it needs the output of ${units.get(cause)!.label}`
      for (const key of keys)
        outcomes.push({ key, status: "failed", kind: "blocked", reason, without: cause })
    }
    if (without !== undefined) block(keysGivenBy(job), without)
    else {
      const ready: Unit[] = []
      for (const observer of job.observers) {
        const why = blockedBy(observer, missing)
        if (why === undefined) ready.push(observer)
        else block([observer.key], why)
      }
      if (job.wanted || ready.length > 0) {
        const done = yield* runner(jobFor(job.unit, job.wanted, ready), missing, {
          started: onEvent({ type: "started", job }),
          progress: (progress) => onEvent({ type: "progress", job, progress }),
        })
        outcomes.push(...done)
      }
    }
    for (const outcome of outcomes) {
      if (outcome.status === "failed" && outcome.kind !== "blocked") {
        // A plan that cannot say so later is no reason to lose the failure itself.
        yield* Effect.ignore(store.writeFailure(units.get(outcome.key)!, outcome.reason))
      }
      yield* Deferred.succeed(pending.get(outcome.key)!, outcome)
    }
    yield* onEvent({ type: "ended", job, outcomes })
  })
  yield* Effect.forEach(plan.jobs, perform, { concurrency: "unbounded", discard: true })

  const outcomes = yield* Effect.forEach(
    plan.graph.units.filter(({ key }) => pending.has(key) || plan.stored.get(key)?.status !== "absent"),
    (unit) => Effect.map(outcomeOf(unit.key), (outcome) => ({ unit, outcome })),
  )
  return {
    reused: outcomes.filter(({ unit, outcome }) => outcome.status === "done" && !pending.has(unit.key))
      .length,
    made: outcomes.filter(({ unit, outcome }) => outcome.status === "done" && pending.has(unit.key)).length,
    failures: outcomes.flatMap(({ unit, outcome }) =>
      outcome.status === "done"
        ? []
        : [
            {
              unit,
              status: outcome.status,
              reason: outcome.reason,
              ...stepOf(outcome),
              ...(outcome.status === "failed" ? { kind: outcome.kind } : {}),
              ...(outcome.status === "failed" && outcome.without !== undefined
                ? { without: units.get(outcome.without)! }
                : {}),
            },
          ],
    ),
  } satisfies Summary
})

const stepOf = ({ step }: { readonly step?: number }) => (step === undefined ? {} : { step })

type Why = Extract<UnitOutcome, { reason: string }>

/** Why a unit cannot start: a missing single input. Members of a cohort may be missing. */
const blockedBy = (unit: Unit, missing: Missing): Why | undefined => {
  for (const input of Object.values(unit.inputs)) {
    const why = "one" in input ? missing.get(input.one.key) : undefined
    if (why !== undefined) return why
  }
  return undefined
}
