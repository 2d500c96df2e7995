/**
 * Runs a plan: a job starts once its inputs are ready. A failure is data: what does not depend on it continues, and what
 * nobody needs without it is stopped or not begun (`agenda.ts`).
 */
import { Deferred, Duration, Effect, type Exit, Fiber, Queue } from "effect"
import { Agenda, type Ready } from "./agenda.ts"
import type { UnitOutcome } from "./job.ts"
import type { FailureKind } from "./messages.ts"
import type { Job, Plan } from "./plan.ts"
import type { Held, JobProgress, JobRunner } from "./processes.ts"
import { Store } from "./store/store.ts"
import type { Unit } from "./unit.ts"

/** What happens while a plan runs. */
export type Event =
  | { readonly type: "started"; readonly job: Job }
  | { readonly type: "progress"; readonly job: Job; readonly progress: JobProgress }
  /** It is tried again from time to time, since another process makes one of its units. */
  | { readonly type: "waiting"; readonly job: Job; readonly by: string }
  | { readonly type: "ended"; readonly job: Job; readonly outcomes: readonly UnitOutcome[] }

/** A unit without an artifact, and the reason. */
export interface Failure {
  readonly unit: Unit
  readonly status: "diverged" | "failed"
  /** Of a unit that failed. */
  readonly kind?: FailureKind
  readonly reason: string
  readonly step?: number
  /** If it was not started, or stopped, because another unit failed or diverged: that unit. */
  readonly without?: Unit
}

/** How a plan ended. */
export interface Summary {
  /** Units that were already in the store, or that another process made meanwhile. */
  readonly reused: number
  readonly made: number
  readonly failures: readonly Failure[]
}

/**
 * Runs a plan, with as many jobs at a time as it has processes.
 *
 * @param runner runs one job, usually in another process
 * @param onEvent receives the events, in order
 */
export const execute = Effect.fn("execute")(function* (
  plan: Plan,
  runner: JobRunner,
  onEvent: (event: Event) => Effect.Effect<void>,
) {
  const agenda = new Agenda(plan)
  const { units } = agenda
  const ends = yield* Queue.unbounded<{
    readonly job: Job
    /** Undefined if it was put off and can begin now. */
    readonly exit?: Exit.Exit<readonly UnitOutcome[] | Held>
  }>()
  const running = new Map<Job, Running>()
  /** What is to become of jobs that were stopped. */
  const unneeded = new Map<Job, readonly UnitOutcome[]>()
  /** Jobs whose units another process makes, and how often they have been tried. */
  const putOff = new Set<Job>()
  const tries = new Map<Job, number>()

  const begin = Effect.fnUntraced(function* ({ planned, job, missing }: Ready) {
    const stop = yield* Deferred.make<readonly UnitOutcome[] | Held>()
    const ran = runner(job, missing, {
      started: onEvent({ type: "started", job: planned }),
      progress: (progress) => onEvent({ type: "progress", job: planned, progress }),
    })
    const fiber = yield* Effect.raceFirst(ran, Deferred.await(stop)).pipe(
      Effect.onExit((exit) => Queue.offer(ends, { job: planned, exit })),
      Effect.forkChild,
    )
    running.set(planned, { fiber, stop })
  })
  const end = (job: Job, outcomes: readonly UnitOutcome[]) => onEvent({ type: "ended", job, outcomes })

  const work = Effect.gen(function* () {
    while (true) {
      for (const { planned, outcomes, runs } of agenda.takeDropped()) {
        if (runs) {
          unneeded.set(planned, outcomes)
          yield* Deferred.succeed(running.get(planned)!.stop, outcomes)
        } else yield* end(planned, outcomes)
      }
      while (running.size < plan.estimate.processes) {
        const ready = agenda.next()
        if (ready === undefined) break
        yield* begin(ready)
      }
      if (running.size === 0 && putOff.size === 0) return
      const { job, exit } = yield* Queue.take(ends)
      if (exit === undefined) {
        putOff.delete(job)
        agenda.resume(job)
        continue
      }
      running.delete(job)
      const reply = yield* exit
      if ("held" in reply && !unneeded.has(job)) {
        const tried = tries.get(job) ?? 0
        if (tried === 0) yield* onEvent({ type: "waiting", job, by: reply.held })
        tries.set(job, tried + 1)
        putOff.add(job)
        agenda.putOff(job)
        yield* Effect.forkChild(Effect.delay(Queue.offer(ends, { job }), pauseAfter(tried)))
        continue
      }
      const outcomes = "held" in reply ? unneeded.get(job)! : reply
      yield* recordFailures(outcomes, units)
      agenda.settle(job, outcomes)
      yield* end(job, outcomes)
    }
  })
  // All jobs save their state at the same time.
  yield* Effect.ensuring(
    work,
    Effect.suspend(() => Fiber.interruptAll([...running.values()].map(({ fiber }) => fiber))),
  )

  const isStored = ({ key }: Unit) => !agenda.outcomes.has(key) && plan.stored.get(key)?.status === "done"
  const done = [...agenda.outcomes.values()].filter((outcome) => outcome.status === "done")
  const elsewhere = done.filter((outcome) => outcome.elsewhere).length
  return {
    reused: plan.graph.units.filter(isStored).length + elsewhere,
    made: done.length - elsewhere,
    failures: plan.graph.units.flatMap((unit) => {
      const outcome = agenda.outcomes.get(unit.key)
      return outcome === undefined || outcome.status === "done" ? [] : [failureOf(unit, outcome, units)]
    }),
  } satisfies Summary
})

/**
 * Keeps in the store why units failed.
 *
 * @param launch whose task has failed, if it was started from a queue: nobody else is told of it
 */
export const recordFailures = Effect.fnUntraced(function* (
  outcomes: readonly UnitOutcome[],
  units: ReadonlyMap<string, Unit>,
  launch?: string,
) {
  const store = yield* Store
  for (const outcome of outcomes) {
    if (outcome.status !== "failed" || outcome.without !== undefined) continue
    const { key, kind, reason } = outcome
    const why = { kind, reason, ...(launch === undefined ? {} : { launch }) }
    // A plan that cannot say so later is no reason to lose the failure itself.
    yield* Effect.ignore(store.writeFailure(units.get(key)!, why))
  }
})

/** A job that runs, and how to stop it with its state kept: its units then end like that. */
interface Running {
  readonly fiber: Fiber.Fiber<unknown>
  readonly stop: Deferred.Deferred<readonly UnitOutcome[] | Held>
}

/** How long a job is put off that has been tried so often before: another process may be done in moments or in days. */
export const pauseAfter = (tries: number): Duration.Duration =>
  Duration.millis(Math.min(250 * 2 ** tries, 10_000))

const failureOf = (
  unit: Unit,
  outcome: Exclude<UnitOutcome, { status: "done" }>,
  units: ReadonlyMap<string, Unit>,
): Failure => {
  const { status, reason, step } = outcome
  const at = step === undefined ? {} : { step }
  if (outcome.status === "diverged") return { unit, status, reason, ...at }
  const { kind, without } = outcome
  return {
    unit,
    status,
    kind,
    reason,
    ...at,
    ...(without === undefined ? {} : { without: units.get(without)! }),
  }
}
