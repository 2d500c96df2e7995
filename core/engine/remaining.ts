/** How long a plan that runs will still take: what is left of it, at the pace of what has run. */
import { makespan, type Task } from "./makespan.ts"
import { Pace, type Work } from "./pace.ts"
import { dependencies, type Job, observedSteps, type Plan, workOf } from "./plan.ts"
import type { JobProgress } from "./processes.ts"
import type { Speeds } from "./speeds.ts"

/** The pace is measured over no less than this, s. */
const shortestInterval = 5
/** A job whose first report says that more of it is done, but not all, was resumed. */
const resumed = 0.1
/** What a job is expected to take that computes next to nothing, s. */
const leastSeconds = 0.1
/** After its last report, a job that has less of its work left is only tidying up. */
const leastPart = 0.01
/** A job that should have reported, or ended, by now will take this part of the time that it has been silent again. */
const overtime = 0.25

/** What of a job is done when `done` of `total` steps are. */
type WorkDone = (progress: Pick<JobProgress, "done" | "total">) => Work

interface Running {
  readonly workDone: WorkDone
  /** When it last reported, or started. */
  heard: number
  reported: boolean
  /** What was done of it then. */
  done: Work
  /** Up to where the pace has been told. */
  told: { readonly done: Work; readonly at: number }
}

type Planned = Pick<Plan, "jobs" | "speeds"> & { readonly estimate: Pick<Plan["estimate"], "processes"> }

/**
 * Estimates the remaining time of a plan. All times are seconds since the same moment, and never less than before.
 *
 * Jobs that run are left by what they report, weighed by what their steps cost: a probe that observes at step 0 alone
 * costs nothing later. What is left goes through `makespan`, so a long chain counts as such.
 */
export class Remaining {
  private readonly pace: Pace
  private readonly places: ReadonlyMap<Job, number>
  private readonly work: readonly Work[]
  private readonly after: readonly (readonly number[])[]
  private readonly ended: Uint8Array
  private readonly running = new Map<Job, Running>()

  constructor(private readonly plan: Planned) {
    const { jobs, speeds } = plan
    this.pace = new Pace(speeds.measured, speeds.knows)
    this.places = new Map(jobs.map((job, place) => [job, place]))
    const works = new Map<string, Work>()
    this.work = jobs.map((job) => {
      const known = works.get(alikeIn(job))
      if (known !== undefined) return known
      const work = atLeast(leastSeconds, workOf(job, speeds))
      works.set(alikeIn(job), work)
      return work
    })
    this.after = dependencies(jobs)
    this.ended = new Uint8Array(jobs.length)
  }

  /** A job starts or, after its process was lost, starts again. */
  started(job: Job, now: number): void {
    this.running.set(job, {
      workDone: workDoneOf(job, this.plan.speeds),
      heard: now,
      reported: false,
      done: nothing,
      told: { done: nothing, at: now },
    })
  }

  /** A job has started only to find that another process makes its units. */
  waits(job: Job): void {
    this.running.delete(job)
  }

  progress(job: Job, progress: JobProgress, now: number): void {
    const running = this.running.get(job)
    if (running === undefined || progress.total <= 0) return
    const done = running.workDone(progress)
    const part = progress.done / progress.total
    const wasResumed = !running.reported && part > resumed && part < 1
    const gained = difference(done, running.told.done)
    // What was done before a stop was not done just now; what counts anew, as batches after bytes, says nothing yet.
    if (wasResumed || sum(gained) < 0) running.told = { done, at: now }
    else if (now - running.told.at >= shortestInterval && sum(gained) > 0) {
      this.pace.observe(gained, now - running.told.at, now)
      running.told = { done, at: now }
    }
    running.reported = true
    running.heard = now
    running.done = done
  }

  /** @param made whether it ran to its end here: one that failed, or found its units there, has not done its work */
  finished(job: Job, made: boolean, now: number): void {
    const place = this.places.get(job)!
    const work = this.work[place]!
    const told = this.running.get(job)?.told
    this.running.delete(job)
    this.ended[place] = 1
    if (told === undefined || !made) return
    const gained = difference(work, told.done)
    if (sum(gained) > leastPart * sum(work)) this.pace.observe(gained, now - told.at, now)
  }

  /** The seconds until the plan has ended; at its start, this is what the plan says. Takes O(n log n). */
  seconds(now: number): number {
    const { jobs, estimate } = this.plan
    const places = new Int32Array(jobs.length)
    const tasks: { seconds: number; after: readonly number[] }[] = []
    const add = (place: number, seconds: number) => {
      places[place] = tasks.length
      tasks.push({ seconds, after: this.after[place]! })
    }
    // Those that run have their processes already.
    for (const [job, running] of this.running) {
      const place = this.places.get(job)!
      add(place, this.left(this.work[place]!, running, now))
    }
    for (const [place, job] of jobs.entries()) {
      if (this.ended[place] === 0 && !this.running.has(job))
        add(place, this.pace.secondsOf(this.work[place]!))
    }
    const left = tasks.map(
      ({ seconds, after }): Task => ({
        seconds,
        after: after.flatMap((before) => (this.ended[before] === 0 ? [places[before]!] : [])),
      }),
    )
    return makespan(left, estimate.processes)
  }

  private left(work: Work, { done, heard }: Running, now: number): number {
    const silent = now - heard
    return Math.max(this.pace.secondsOf(difference(work, done)) - silent, overtime * silent)
  }
}

const nothing: Work = new Map()

/** The same for jobs that take the same time, which many do. */
const alikeIn = ({ unit, own, observers }: Job): string =>
  observers.reduce(
    (text, { plugin, cost }) => `${text} ${plugin.name} ${cost.flops} ${cost.calls}`,
    `${unit.plugin.name} ${own.flops} ${own.calls}`,
  )

/** A job that takes no time would say nothing about the pace. */
const atLeast = (least: number, work: Work): Work => {
  const total = sum(work)
  if (total >= least) return work
  const share = (least - total) / work.size
  return new Map([...work].map(([plugin, seconds]) => [plugin, seconds + share]))
}

const sum = (work: Work): number => {
  let total = 0
  for (const seconds of work.values()) total += seconds
  return total
}

const difference = (work: Work, less: Work): Work =>
  less.size === 0
    ? work
    : new Map([...work].map(([plugin, seconds]) => [plugin, seconds - (less.get(plugin) ?? 0)]))

/**
 * If a run counts its updates, an update costs what its plugin says, and a probe its steps alone. What else is counted,
 * such as sentences or bytes, is taken to be proportional to the whole.
 */
const workDoneOf = (job: Job, speeds: Speeds): WorkDone => {
  const { unit, wanted, own, observers } = job
  const work = workOf(job, speeds)
  const proportional = (part: number): Work =>
    new Map([...work].map(([plugin, seconds]) => [plugin, seconds * part]))
  const { replay } = unit
  if (replay === undefined || own.flops === 0) return ({ done, total }) => proportional(done / total)
  const probes = observers.map((observer) => ({
    name: observer.plugin.name,
    seconds: speeds.seconds(observer.plugin.name, observer.cost),
    steps: observedSteps(observer, replay.length),
  }))
  const updates = wanted ? replay.length.steps : Math.max(0, ...probes.flatMap(({ steps }) => steps))
  const ofRun = speeds.seconds(unit.plugin.name, own)
  return ({ done, total }) => {
    if (total !== updates) return proportional(done / total)
    const sums = new Map([[unit.plugin.name, ofRun * Math.min(1, (done * replay.flopsPerStep) / own.flops)]])
    for (const { name, seconds, steps } of probes) {
      // A step is reported before it is observed.
      const observed = steps.filter((step) => step < done).length / Math.max(1, steps.length)
      sums.set(name, (sums.get(name) ?? 0) + seconds * observed)
    }
    return sums
  }
}
