/**
 * How far a plan has come, and what is worth a line of its own: a line for each job that ends unless there are very
 * many and, where no live lines are drawn, one at least every minute. All times are seconds since the same moment.
 */
import type { Event } from "../engine/execute.ts"
import type { UnitOutcome } from "../engine/job.ts"
import { type Job, keysGivenBy, type Plan } from "../engine/plan.ts"
import type { JobProgress } from "../engine/processes.ts"
import { Remaining } from "../engine/remaining.ts"
import { formatSeconds, plural, printable } from "../io/format.ts"
import { type Endings, endedHow, endingOf, mishaps } from "./counts.ts"

/** More jobs than this that end within a minute are counted together. */
const mostLines = 30
const minute = 60
/** How many of the jobs that run are named in a line. */
const mostNamed = 3
/** The remaining time is estimated anew after a second and, since that takes longer for more jobs, so many of them. */
const jobsPerSecond = 5000

export interface Running {
  readonly started: number
  progress: JobProgress | undefined
}

export class RunLog {
  readonly running = new Map<Job, Running>()
  /** Jobs whose units another process makes, tried from time to time. */
  readonly waiting = new Set<Job>()
  readonly endings: Endings = { made: 0, diverged: 0, failed: 0, notMade: 0 }
  /** The units that the plan makes. */
  readonly units: number
  private readonly remaining: Remaining
  /** Jobs that had to wait for another process. */
  private readonly waited = new Set<Job>()
  private estimate = 0
  private readonly estimateEvery: number
  private estimated = Number.NEGATIVE_INFINITY
  /** When the present minute began, what it has had a line for, and what is only counted. */
  private began: number
  private lines = 0
  private unsaid: Endings = { made: 0, diverged: 0, failed: 0, notMade: 0 }
  private spoke: number

  constructor(
    plan: Plan,
    private readonly start: number,
  ) {
    this.units = plan.jobs.reduce((sum, job) => sum + keysGivenBy(job).length, 0)
    this.remaining = new Remaining(plan)
    this.estimateEvery = Math.max(1, plan.jobs.length / jobsPerSecond)
    this.began = start
    this.spoke = start
  }

  /** Units that need nothing more. */
  get settled(): number {
    const { made, diverged, failed, notMade } = this.endings
    return made + diverged + failed + notMade
  }

  elapsed(now: number): number {
    return now - this.start
  }

  /** Seconds that the rest takes; it is estimated now and then. */
  left(now: number): number {
    if (now - this.estimated >= this.estimateEvery) {
      this.estimate = this.remaining.seconds(now)
      this.estimated = now
    }
    return Math.max(0, this.estimate - (now - this.estimated))
  }

  /** Gives the lines to print. */
  onEvent(event: Event, now: number): readonly string[] {
    const { job } = event
    if (event.type === "started") {
      this.running.set(job, { started: now, progress: undefined })
      this.waiting.delete(job)
      this.remaining.started(job, now)
      return []
    }
    if (event.type === "progress") {
      const running = this.running.get(job)
      if (running !== undefined) running.progress = event.progress
      this.remaining.progress(job, event.progress, now)
      return []
    }
    if (event.type === "waiting") {
      this.running.delete(job)
      this.waiting.add(job)
      this.waited.add(job)
      this.remaining.waits(job)
      return this.few([`${job.unit.label}: ${event.by} makes it; waiting`], now) ?? []
    }
    const running = this.running.get(job)
    this.running.delete(job)
    this.waiting.delete(job)
    const madeHere = event.outcomes.every((outcome) => outcome.status === "done" && outcome.seconds > 0)
    this.remaining.finished(job, madeHere, now)
    for (const outcome of event.outcomes) this.endings[endingOf(outcome)]++
    const took = running === undefined ? "" : ` ${formatSeconds(now - running.started)}`
    const said = this.few(this.endLines(job, event.outcomes, took), now)
    if (said === undefined) for (const outcome of event.outcomes) this.unsaid[endingOf(outcome)]++
    return said ?? []
  }

  /** The lines, unless there were many within this minute. */
  private few(lines: readonly string[], now: number): readonly string[] | undefined {
    if (now - this.began >= minute && sumOf(this.unsaid) === 0) this.newMinute(now)
    if (this.lines + lines.length > mostLines) return undefined
    this.lines += lines.length
    if (lines.length > 0) this.spoke = now
    return lines
  }

  /** What the last minute had no line for, in one. */
  rest(): readonly string[] {
    const { made } = this.unsaid
    const counts = [...(made > 0 ? [`${made} made`] : []), ...mishaps(this.unsaid)]
    const all = plural(sumOf(this.unsaid), "more unit")
    this.unsaid = { made: 0, diverged: 0, failed: 0, notMade: 0 }
    return counts.length === 0 ? [] : [`${this.count} ${all}: ${counts.join(", ")}`]
  }

  /**
   * Called every second or so; gives the lines to print.
   *
   * @param live whether the reader sees live lines, and needs no others
   */
  tick(now: number, live: boolean): readonly string[] {
    const lines: string[] = []
    if (now - this.began >= minute) {
      lines.push(...this.rest())
      this.newMinute(now)
    }
    if (!live && now - this.spoke >= minute && this.settled < this.units) lines.push(this.statusLine(now))
    if (lines.length > 0) this.spoke = now
    return lines
  }

  private newMinute(now: number) {
    this.began = now
    this.lines = 0
    this.unsaid = { made: 0, diverged: 0, failed: 0, notMade: 0 }
  }

  private get count(): string {
    return `[${this.settled}/${this.units}]`
  }

  private statusLine(now: number): string {
    const named = [...this.running].slice(0, mostNamed).map(([job, { progress }]) => {
      const part = progress === undefined ? "" : ` ${percent(progress)} %`
      return `${printable(runningLabel(job))}${part}`
    })
    const more = this.running.size - named.length
    const idle = this.running.size + this.waiting.size === 0
    const parts = [
      ...summaryForms(this, now).slice(0, 1),
      ...(named.length > 0 ? [`running: ${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`] : []),
      ...(this.waiting.size > 0 ? [waitingText(this.waiting.size)] : []),
      ...(idle ? [this.settled === 0 ? "no job has begun yet" : "no job is running"] : []),
    ]
    return parts.join(" · ")
  }

  /** Units that were not started, or stopped, for another's failure are told once, at the end, with that unit. */
  private endLines(job: Job, outcomes: readonly UnitOutcome[], took: string): readonly string[] {
    const made = outcomes.filter((outcome) => outcome.status === "done")
    const lost = outcomes.flatMap((outcome) =>
      outcome.status === "done" || (outcome.status === "failed" && outcome.without !== undefined)
        ? []
        : [outcome],
    )
    const lines: string[] = []
    if (made.length > 0) {
      const itself = made.some(({ key }) => key === job.unit.key)
      const doing = itself || job.wanted ? "with" : "replayed for"
      const elsewhere = made.every((outcome) => outcome.elsewhere === true)
      const end = !elsewhere ? took : this.waited.has(job) ? " made by another process" : " was there already"
      lines.push(`${this.count} ${this.named(made, job, doing)}${end}`)
    }
    // Probes end as the run that they watch: that is told once.
    for (const [how, same] of Map.groupBy(lost, endedHow))
      lines.push(`${this.count} ${this.named(same, job, "with")} ${how}${took}`)
    return lines
  }

  /** Some of the units of a job: itself, with how many probes, or the first of its probes. */
  private named(
    outcomes: readonly UnitOutcome[],
    { unit, observers }: Job,
    doing: "with" | "replayed for",
  ): string {
    const itself = outcomes.some(({ key }) => key === unit.key)
    const first =
      doing === "replayed for" || itself ? unit : observers.find(({ key }) => key === outcomes[0]!.key)!
    const probes = outcomes.length - Number(itself || first !== unit)
    return `${first.label}${probes > 0 ? ` ${doing} ${plural(probes, "probe")}` : ""}`
  }
}

/** What a job is called while it runs. */
export const runningLabel = ({ unit, wanted }: Job): string => `${wanted ? "" : "replay of "}${unit.label}`

/** Of jobs whose units another process makes. */
export const waitingText = (count: number): string =>
  count === 1 ? "1 waits for another process" : `${count} wait for other processes`

const sumOf = ({ made, diverged, failed, notMade }: Endings): number => made + diverged + failed + notMade

export const percent = ({ done, total }: Pick<JobProgress, "done" | "total">): number =>
  total === 0 ? 0 : Math.floor((done / total) * 100)

/** Whole seconds: what remains is not known better. */
const rounded = (seconds: number): string =>
  seconds < 10 ? `${Math.max(1, Math.round(seconds))} s` : formatSeconds(seconds)

/** `83 d` of `83 d 4 h`. */
const coarse = (time: string): string => time.split(" ").slice(0, 2).join(" ")

/** What there is to say of the whole run on one line, from the longest form to the shortest. */
export const summaryForms = (
  log: Pick<RunLog, "settled" | "units" | "endings" | "left" | "elapsed">,
  now: number,
): readonly string[] => {
  const { settled, units, endings } = log
  const left = rounded(log.left(now))
  const elapsed = formatSeconds(log.elapsed(now))
  const bad = mishaps(endings)
  const among = bad.length === 0 ? "" : ` (${bad.join(", ")})`
  return [
    `${settled} of ${plural(units, "unit")} done${among} · about ${left} left · ${elapsed} so far`,
    `${settled} of ${units}${among} · ${left} left · ${elapsed}`,
    `${settled}/${units} · ${[...bad, `${left} left`, elapsed].join(" · ")}`,
    `${settled}/${units} · ${left} left · ${elapsed}`,
    `${settled}/${units} · ${coarse(left)} left · ${coarse(elapsed)}`,
  ]
}
