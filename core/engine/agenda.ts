/**
 * What is to be done next, as outcomes come in.
 *
 * A unit *cannot be made* once a single input of it has failed or diverged; members of cohorts may be missing. It is
 * *needed* while it is a target, or while a unit that can be made and has not ended takes it; a run also while a probe
 * watches it. What cannot be made or is not needed any more is not begun, and what runs for nothing is stopped.
 */
import type { Missing, UnitOutcome } from "./job.ts"
import { type Job, jobFor, keysGivenBy, keysTakenBy, type Plan } from "./plan.ts"
import { inputsOf, singleInputsOf, type Unit } from "./unit.ts"

/** A job that can begin, with those of its observers that are still wanted. */
export interface Ready {
  /** As the plan has it. */
  readonly planned: Job
  readonly job: Job
  readonly missing: Missing
}

/** A job that is not to be done after all. */
export interface Dropped {
  readonly planned: Job
  /** Of the units that it would have given. */
  readonly outcomes: readonly UnitOutcome[]
  /** Whether it runs and has to be stopped; its outcomes count once it has. */
  readonly runs: boolean
}

export class Agenda {
  /** How units have ended, by key: in this execution, and before it if they diverged. */
  readonly outcomes = new Map<string, UnitOutcome>()
  /** All units of the plan, by key. */
  readonly units: ReadonlyMap<string, Unit>
  private readonly targets: ReadonlySet<Unit>
  /** By their units: what they make, observers included, and what they only replay. */
  private readonly jobs = new Map<Unit, Job>()
  /** What the jobs make. */
  private readonly given: ReadonlySet<string>
  /** The units of jobs that cannot be made without a unit. */
  private readonly takers = new Map<Unit, Unit[]>()
  /** How many of them need that a job runs for a unit: to make it, or to be watched. */
  private readonly needs = new Map<Unit, number>()
  /** Those that need nothing any more. */
  private readonly released = new Set<Unit>()
  /** The keys that a job waits for, and the jobs that wait for a key. */
  private readonly waits = new Map<Job, Set<string>>()
  private readonly waiters = new Map<string, Job[]>()
  /**
   * Jobs that can begin. Those that read files come first: once what they give is in the store, nobody who edits the
   * files changes what was launched.
   */
  private readonly readers = new Waiting()
  private readonly others = new Waiting()
  private readonly begun = new Set<Job>()
  private readonly ended = new Set<Job>()
  private dropped: Dropped[] = []

  constructor(plan: Plan) {
    this.units = new Map(plan.graph.units.map((unit) => [unit.key, unit]))
    this.targets = new Set(Object.values(plan.graph.targets).flat())
    for (const job of plan.jobs) for (const unit of [job.unit, ...job.observers]) this.jobs.set(unit, job)
    this.given = new Set(plan.jobs.flatMap(keysGivenBy))
    for (const unit of this.jobs.keys()) {
      for (const taken of new Set(singleInputsOf(unit))) append(this.takers, taken, unit)
      for (const needed of this.neededBy(unit)) this.needs.set(needed, (this.needs.get(needed) ?? 0) + 1)
    }
    for (const unit of plan.graph.units) {
      const stored = plan.stored.get(unit.key)
      if (stored?.status !== "diverged") continue
      const { reason, step } = stored.failure
      const at = step === undefined ? {} : { step }
      this.outcomes.set(unit.key, { key: unit.key, status: "diverged", reason, ...at })
    }
    for (const job of plan.jobs) {
      const waits = this.waitsOf(job)
      if (waits.size === 0) {
        this.enqueue(job)
        continue
      }
      this.waits.set(job, waits)
      for (const key of waits) append(this.waiters, key, job)
    }
    for (const outcome of [...this.outcomes.values()]) this.tell(outcome)
  }

  /** The next job that can begin, if there is one; from then on it counts as begun. */
  next(): Ready | undefined {
    while (true) {
      const planned = this.readers.take() ?? this.others.take()
      if (planned === undefined) return undefined
      if (this.begun.has(planned) || this.ended.has(planned)) continue
      this.begun.add(planned)
      const observers = this.openObservers(planned)
      const isWhole = observers.length === planned.observers.length
      const job = isWhole ? planned : jobFor(planned.unit, planned.wanted, observers)
      const missing = keysTakenBy(job).flatMap((key) => {
        const outcome = this.outcomes.get(key)
        return outcome === undefined || outcome.status === "done" ? [] : [[key, outcome] as const]
      })
      return { planned, job, missing: new Map(missing) }
    }
  }

  /** A job that began is to begin again later: what it needs is not free. It does not, until `resume`. */
  putOff(planned: Job): void {
    this.begun.delete(planned)
  }

  /** A job that was put off can begin. */
  resume(planned: Job): void {
    this.enqueue(planned)
  }

  /** A job that began has ended like this. */
  settle(planned: Job, outcomes: readonly UnitOutcome[]): void {
    this.ended.add(planned)
    for (const outcome of outcomes) this.outcomes.set(outcome.key, outcome)
    for (const outcome of outcomes) this.tell(outcome)
  }

  /** What has been dropped since this was last asked for. */
  takeDropped(): readonly Dropped[] {
    const { dropped } = this
    this.dropped = []
    return dropped
  }

  private enqueue(job: Job): void {
    const reads = [job.unit, ...job.observers].some(({ parts }) => Object.keys(parts.read).length > 0)
    const waiting = reads ? this.readers : this.others
    waiting.add(job)
  }

  private openObservers({ observers }: Job): readonly Unit[] {
    return observers.filter(({ key }) => !this.outcomes.has(key))
  }

  private waitsOf(job: Job): Set<string> {
    const taken = [job.unit, ...this.openObservers(job)].flatMap(inputsOf)
    return new Set(
      taken.map(({ key }) => key).filter((key) => this.given.has(key) && !this.outcomes.has(key)),
    )
  }

  /** Tells the jobs that wait for a unit, and the units that cannot be made without it, how it has ended. */
  private tell(outcome: UnitOutcome): void {
    const { key } = outcome
    for (const job of this.waiters.get(key) ?? []) {
      const waits = this.waits.get(job)
      if (waits?.delete(key) === true && waits.size === 0) this.enqueue(job)
    }
    if (outcome.status === "done") return
    const unit = this.units.get(key)!
    const cause = outcome.status === "failed" ? (outcome.without ?? key) : key
    for (const taker of this.takers.get(unit) ?? []) this.giveUp(taker, "blocked", cause)
  }

  /** A unit is not to be made, because the unit of the key `cause` was not. */
  private giveUp(unit: Unit, kind: "blocked" | "unneeded", cause: string): void {
    const job = this.jobs.get(unit)!
    const isProbe = unit !== job.unit
    if (this.ended.has(job) || (isProbe && this.outcomes.has(unit.key))) return
    const { label } = this.units.get(cause)!
    const why =
      kind === "blocked"
        ? `it needs the output of ${label}`
        : `nothing that can still be made without ${label} needs it`
    const outcomesOf = (keys: readonly string[], how: string) =>
      keys.map(
        (key): UnitOutcome => ({ key, status: "failed", kind, reason: `${how}: ${why}`, without: cause }),
      )
    if (this.begun.has(job)) {
      // What runs has all that it takes, so that it can be unneeded only; a probe just goes on watching.
      if (!isProbe) {
        const outcomes = outcomesOf(this.givenOpen(job), "stopped, with its state kept")
        this.dropped.push({ planned: job, outcomes, runs: true })
      }
      this.release(unit, cause)
    } else if (isProbe) this.dropProbe(unit, job, outcomesOf([unit.key], "not started"), cause)
    else this.dropJob(job, outcomesOf(this.givenOpen(job), "not started"), cause)
  }

  /** A job that has not begun is not to be done. */
  private dropJob(job: Job, outcomes: readonly UnitOutcome[], cause: string): void {
    for (const outcome of outcomes) this.outcomes.set(outcome.key, outcome)
    this.ended.add(job)
    this.dropped.push({ planned: job, outcomes, runs: false })
    for (const each of [job.unit, ...job.observers]) this.release(each, cause)
    for (const outcome of outcomes) this.tell(outcome)
  }

  /** A job that has not begun is to be done without one of its probes, and does not wait for what only that takes. */
  private dropProbe(probe: Unit, job: Job, outcomes: readonly UnitOutcome[], cause: string): void {
    for (const outcome of outcomes) this.outcomes.set(outcome.key, outcome)
    this.release(probe, cause)
    const waits = this.waitsOf(job)
    this.waits.set(job, waits)
    if (waits.size === 0) this.enqueue(job)
    for (const outcome of outcomes) this.tell(outcome)
  }

  private givenOpen(job: Job): readonly string[] {
    return keysGivenBy(job).filter((key) => !this.outcomes.has(key))
  }

  /** A unit needs nothing any more: what only it needed is given up. */
  private release(unit: Unit, cause: string): void {
    if (this.released.has(unit)) return
    this.released.add(unit)
    for (const needed of this.neededBy(unit)) {
      const needs = this.needs.get(needed)! - 1
      this.needs.set(needed, needs)
      if (needs === 0 && !this.isTarget(needed)) this.giveUp(needed, "unneeded", cause)
    }
  }

  /** The units that a job has to run for because of this one: what is made of its inputs, and the run that it watches. */
  private neededBy(unit: Unit): ReadonlySet<Unit> {
    const made = inputsOf(unit).filter(({ key }) => this.given.has(key))
    return new Set(unit.watched === null ? made : [...made, unit.watched])
  }

  /** Whether it is to be made for its own sake. */
  private isTarget(unit: Unit): boolean {
    return this.targets.has(unit) && this.given.has(unit.key)
  }
}

/** Jobs in the order in which they came. */
class Waiting {
  private readonly jobs: Job[] = []
  private first = 0

  add(job: Job): void {
    this.jobs.push(job)
  }

  take(): Job | undefined {
    const job = this.jobs[this.first]
    if (job !== undefined) this.first++
    return job
  }
}

const append = <K, V>(lists: Map<K, V[]>, key: K, value: V): void => {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}
