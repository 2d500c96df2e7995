/**
 * What a person sees while a plan is carried out, on standard error. On a terminal: a few live lines at the
 * bottom, redrawn in place, with everything that is said printed above them. Elsewhere: plain lines only.
 */
import type { Event } from "../execute.ts"
import type { UnitOutcome } from "../job.ts"
import { gives, type Job, type Plan } from "../plan.ts"
import type { JobProgress } from "../processes.ts"
import { formatSeconds, plural } from "./format.ts"

interface Running {
  readonly started: number
  progress: JobProgress | undefined
  /** The last quarter that plain output told of. */
  quarter: number
}

/** Milliseconds from one redrawing to the next. */
const frame = 100
const barWidth = 20
/** A plain progress line comes only from jobs that run for longer, milliseconds. */
const plainAfter = 10_000

export interface DisplayTarget {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly write: (text: string) => unknown
}

export class Display {
  private readonly running = new Map<Job, Running>()
  private readonly began = performance.now()
  private readonly units: ReadonlyMap<string, string>
  private readonly jobs: number
  private ended = 0
  private drawn = 0
  private timer: ReturnType<typeof setInterval> | undefined

  constructor(
    plan: Plan,
    private readonly target: DisplayTarget,
  ) {
    this.units = new Map(plan.graph.units.map(({ key, label }) => [key, label]))
    this.jobs = plan.jobs.length
    if (target.isTTY) {
      this.timer = setInterval(() => this.draw(), frame)
      target.write("\x1b[?25l")
    }
  }

  /** Prints a line above the live ones. */
  readonly log = (line: string): void => {
    this.clear()
    this.target.write(`${line}\n`)
    this.draw()
  }

  readonly onEvent = (event: Event): void => {
    if (event.type === "started") {
      this.running.set(event.job, { started: performance.now(), progress: undefined, quarter: 0 })
    } else if (event.type === "progress") this.onProgress(event.job, event.progress)
    else this.onEnd(event.job, event.outcomes)
  }

  /** Ends the live lines. */
  readonly close = (): void => {
    clearInterval(this.timer)
    this.clear()
    if (this.target.isTTY) this.target.write("\x1b[?25h")
  }

  private onProgress(job: Job, progress: JobProgress) {
    const running = this.running.get(job)
    if (running === undefined) return
    running.progress = progress
    const quarter = Math.floor((4 * progress.done) / Math.max(1, progress.total))
    const slow = performance.now() - running.started > plainAfter
    if (!this.target.isTTY && slow && quarter > running.quarter && quarter < 4) {
      running.quarter = quarter
      this.log(`${job.unit.label}: ${progress.done} of ${progress.total} ${progress.note}`.trimEnd())
    }
  }

  private onEnd(job: Job, outcomes: readonly UnitOutcome[]) {
    const running = this.running.get(job)
    this.running.delete(job)
    this.ended++
    const took =
      running === undefined ? "" : ` ${formatSeconds((performance.now() - running.started) / 1000)}`
    const others = gives(job).length - 1
    const failures = outcomes.flatMap((outcome) => (outcome.status === "done" ? [] : [outcome]))
    const count = `[${this.ended}/${this.jobs}]`
    if (failures.length < outcomes.length) {
      const beside = others > 0 ? ` with ${plural(others, "probe")}` : ""
      this.log(`${count} ${job.unit.label}${beside}${took}`)
    }
    for (const { key, status, reason, step } of failures) {
      const at = step === undefined ? "" : ` at step ${step}`
      this.log(`${count} ${status}: ${this.units.get(key)}${at}: ${reason}`)
    }
  }

  private clear() {
    if (this.drawn > 0) this.target.write(`\x1b[${this.drawn}A\x1b[0J`)
    this.drawn = 0
  }

  private draw() {
    if (!this.target.isTTY) return
    this.clear()
    const elapsed = formatSeconds((performance.now() - this.began) / 1000)
    const lines = [`${this.ended} of ${plural(this.jobs, "job")} · ${elapsed}`]
    for (const [job, { progress }] of this.running) {
      const part = progress === undefined || progress.total === 0 ? 0 : progress.done / progress.total
      const full = Math.round(part * barWidth)
      const bar = `${"█".repeat(full)}${"░".repeat(barWidth - full)}`
      lines.push(
        `  ${bar} ${String(Math.floor(part * 100)).padStart(3)} % ${job.unit.label} ${progress?.note ?? ""}`,
      )
    }
    const width = (this.target.columns ?? 80) - 1
    for (const line of lines) this.target.write(`${[...line].slice(0, width).join("")}\n`)
    this.drawn = lines.length
  }
}
