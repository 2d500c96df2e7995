/**
 * What is displayed on standard error while a plan runs. On a terminal: a few live lines at the bottom, redrawn in
 * place, with everything else printed above them. Elsewhere: plain lines only.
 */
import { basename } from "node:path"
import { Effect } from "effect"
import { CliOutput } from "effect/cli"
import { LargeFileReading, type Reading } from "../engine/content-digest.ts"
import type { Event } from "../engine/execute.ts"
import type { UnitOutcome } from "../engine/job.ts"
import { type Job, keysGivenBy, type Plan } from "../engine/plan.ts"
import type { JobProgress } from "../engine/processes.ts"
import { formatSeconds, plural, printable } from "../io/format.ts"
import { withoutMiddle } from "./text-width.ts"

interface Running {
  readonly started: number
  progress: JobProgress | undefined
  /** The last quarter of the job that plain output has reported. */
  quarter: number
}

/** Moves up to the first of `lines` live lines and erases everything from there on, with the ^C that terminals echo. */
const eraseLines = (lines: number): string => `\r${lines === 0 ? "" : `\x1b[${lines}A`}\x1b[0J`
const hideCursor = "\x1b[?25l"
const showCursor = "\x1b[?25h"
/** A line that is still too long is cut off at the edge of the screen instead of wrapping. */
const cutLines = "\x1b[?7l"
const wrapLines = "\x1b[?7h"

/** Milliseconds between redraws. */
const frame = 100
const widestBar = 20
/** Columns of a terminal that does not report them. */
const defaultColumns = 80
/** Plain output includes the progress of jobs that run for longer than this, in milliseconds. */
const plainAfter = 10_000

export interface DisplayTarget {
  readonly isTTY?: boolean
  readonly rows?: number
  readonly columns?: number
  readonly write: (text: string) => unknown
}

/** Whether lines can be redrawn: a dumb terminal would print the sequences that move its cursor. */
const redraws = ({ isTTY }: DisplayTarget): boolean => isTTY === true && process.env["TERM"] !== "dumb"

/** Displays `text` on a terminal while `effect` runs, with the large file that it is reading. */
export const showing = <A, E, R>(
  target: DisplayTarget,
  text: string,
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> => {
  if (!redraws(target)) return effect
  const show = (line: string) => target.write(`\r\x1b[2K${cutLines}${printable(line)}${wrapLines}`)
  let shown = Number.NEGATIVE_INFINITY
  const reading: Reading = (path, done, total) => {
    const now = performance.now()
    if (now - shown < frame) return
    shown = now
    show(`${text} reading ${basename(path)}: ${Math.floor((done / total) * 100)} %`)
  }
  return Effect.acquireUseRelease(
    Effect.sync(() => show(text)),
    () => Effect.provideService(effect, LargeFileReading, reading),
    () => Effect.sync(() => target.write("\r\x1b[2K")),
  )
}

/**
 * A job on one line of `columns` columns: its progress, label and note. If that does not fit, the middle of the label
 * is left out: the plugin is at its start, the seed at its end. On a narrow terminal, the note matters most.
 */
export const progressLine = (label: string, progress: JobProgress | undefined, columns: number): string => {
  const { done, total, note } = progress ?? { done: 0, total: 0, note: "" }
  const part = total === 0 ? 0 : done / total
  const width = Math.min(widestBar, Math.floor(columns / 4))
  const full = Math.round(part * width)
  const bar = `  ${"█".repeat(full)}${"░".repeat(width - full)}`
  const percent = ` ${String(Math.floor(part * 100)).padStart(3)} %`
  const end = note === "" ? "" : ` ${printable(note)}`
  const room = columns - CliOutput.displayWidth(`${bar}${percent}${end}`) - 1
  if (room >= 1) return `${bar}${percent} ${withoutMiddle(printable(label), room)}${end}`
  const begin = room === 0 ? `${bar}${percent}` : percent
  return `${begin}${withoutMiddle(end, columns - CliOutput.displayWidth(begin))}`
}

export class Display {
  private readonly running = new Map<Job, Running>()
  private readonly began = performance.now()
  private readonly units: ReadonlyMap<string, string>
  private readonly jobs: number
  private ended = 0
  private drawn = 0
  /** Whether the live lines are drawn: on a terminal, until the display is closed. */
  private live: boolean
  private timer: ReturnType<typeof setInterval> | undefined

  constructor(
    plan: Plan,
    private readonly target: DisplayTarget,
  ) {
    this.units = new Map(plan.graph.units.map(({ key, label }) => [key, label]))
    this.jobs = plan.jobs.length
    this.live = redraws(target)
    if (this.live) {
      this.timer = setInterval(() => this.draw(), frame)
      target.write(hideCursor)
    }
  }

  /** Prints a line above the live ones. */
  readonly log = (line: string): void => {
    const text = printable(line, "\n\t")
    if (this.live) this.draw(`${text}\n`)
    else this.target.write(`${text}\n`)
  }

  readonly onEvent = (event: Event): void => {
    if (event.type === "started") {
      this.running.set(event.job, { started: performance.now(), progress: undefined, quarter: 0 })
    } else if (event.type === "progress") this.onProgress(event.job, event.progress)
    else this.onEnd(event.job, event.outcomes)
  }

  /** Erases the live lines and stops redrawing them. */
  readonly close = (): void => {
    clearInterval(this.timer)
    if (this.live) this.target.write(`${eraseLines(this.drawn)}${showCursor}`)
    this.live = false
    this.drawn = 0
  }

  private onProgress(job: Job, progress: JobProgress) {
    const running = this.running.get(job)
    if (running === undefined) return
    running.progress = progress
    const quarter = Math.floor((4 * progress.done) / Math.max(1, progress.total))
    const slow = performance.now() - running.started > plainAfter
    if (!this.live && slow && quarter > running.quarter && quarter < 4) {
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
    const others = keysGivenBy(job).length - 1
    const failures = outcomes.flatMap((outcome) => (outcome.status === "done" ? [] : [outcome]))
    // Units that were not started are reported once, at the end, with the failed unit that they needed.
    if (failures.some((failure) => failure.status === "failed" && failure.without !== undefined)) return
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

  /** Redraws the live lines, in one write so that they do not flicker, with `above` printed above them. */
  private draw(above = "") {
    const elapsed = formatSeconds((performance.now() - this.began) / 1000)
    const columns = this.target.columns || defaultColumns
    const running = [...this.running].map(([{ unit }, { progress }]) =>
      progressLine(unit.label, progress, columns),
    )
    // Lines beyond the screen could not be erased again.
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
