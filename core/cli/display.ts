/**
 * What a person sees while a plan is carried out, on standard error. On a terminal: a few live lines at the
 * bottom, redrawn in place, with everything that is said printed above them. Elsewhere: plain lines only.
 */
import { Effect } from "effect"
import type { Event } from "../engine/execute.ts"
import type { UnitOutcome } from "../engine/job.ts"
import { gives, type Job, type Plan } from "../engine/plan.ts"
import type { JobProgress } from "../engine/processes.ts"
import { formatSeconds, plural } from "../io/format.ts"

interface Running {
  readonly started: number
  progress: JobProgress | undefined
  /** The last quarter that plain output told of. */
  quarter: number
}

/** Up, to the first of `lines` that were drawn, and everything from there on erased. */
const eraseLines = (lines: number): string => (lines === 0 ? "" : `\x1b[${lines}A\x1b[0J`)
const hideCursor = "\x1b[?25l"
const showCursor = "\x1b[?25h"
/** Longer lines are cut at the edge of the screen, however wide their characters are, instead of going on below. */
const cutLines = "\x1b[?7l"
const wrapLines = "\x1b[?7h"

/** Milliseconds from one redrawing to the next. */
const frame = 100
const barWidth = 20
/** A plain progress line comes only from jobs that run for longer, milliseconds. */
const plainAfter = 10_000

export interface DisplayTarget {
  readonly isTTY?: boolean
  readonly rows?: number
  readonly write: (text: string) => unknown
}

/** Shows `text` on a terminal for as long as `effect` takes. */
export const showing = <A, E, R>(
  target: DisplayTarget,
  text: string,
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> =>
  target.isTTY
    ? Effect.acquireUseRelease(
        Effect.sync(() => target.write(text)),
        () => effect,
        () => Effect.sync(() => target.write("\r\x1b[2K")),
      )
    : effect

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
      target.write(hideCursor)
    }
  }

  /** Prints a line above the live ones. */
  readonly log = (line: string): void => {
    if (this.target.isTTY) this.draw(`${line}\n`)
    else this.target.write(`${line}\n`)
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
    if (this.target.isTTY) this.target.write(`${eraseLines(this.drawn)}${showCursor}`)
    this.drawn = 0
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
    // What was not begun is told once, at the end, with what it waited for.
    if (failures.some(({ without }) => without !== undefined)) return
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

  /** Redraws the live lines, in one piece so that they do not flicker, with `above` printed over them. */
  private draw(above = "") {
    const elapsed = formatSeconds((performance.now() - this.began) / 1000)
    const running = [...this.running].map(([job, { progress }]) => {
      const part = progress === undefined || progress.total === 0 ? 0 : progress.done / progress.total
      const full = Math.round(part * barWidth)
      const bar = `${"█".repeat(full)}${"░".repeat(barWidth - full)}`
      const percent = String(Math.floor(part * 100)).padStart(3)
      return `  ${bar} ${percent} % ${job.unit.label} ${progress?.note ?? ""}`.replaceAll(/\p{Cc}/gu, " ")
    })
    // What does not fit on the screen could not be erased again.
    const room = Math.max(1, (this.target.rows || 24) - 3)
    const hidden = running.length - room
    const lines = [
      `${this.ended} of ${plural(this.jobs, "job")} · ${elapsed}`,
      ...running.slice(0, room),
      ...(hidden > 0 ? [`  and ${hidden} more`] : []),
    ]
    const live = `${cutLines}${lines.join("\n")}\n${wrapLines}`
    this.target.write(`${eraseLines(this.drawn)}${above}${live}`)
    this.drawn = lines.length
  }
}
