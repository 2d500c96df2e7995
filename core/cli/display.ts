/**
 * What is displayed on standard error while a plan runs. On a terminal: a few live lines at the bottom, redrawn in
 * place, with everything else printed above them. Elsewhere: plain lines only.
 */
import { basename } from "node:path"
import { Effect } from "effect"
import { CliOutput } from "effect/cli"
import { LargeFileReading, type Reading } from "../engine/content-digest.ts"
import type { Event } from "../engine/execute.ts"
import type { Plan } from "../engine/plan.ts"
import type { JobProgress } from "../engine/processes.ts"
import { printable } from "../io/format.ts"
import { percent, RunLog, runningLabel, summaryForms, waitingText } from "./run-log.ts"
import { withoutMiddle } from "./text-width.ts"

/** Moves up to the first of `lines` live lines and erases everything from there on, with the ^C that terminals echo. */
const eraseLines = (lines: number): string => `\r${lines === 0 ? "" : `\x1b[${lines}A`}\x1b[0J`
const hideCursor = "\x1b[?25l"
const showCursor = "\x1b[?25h"
/** A line that is still too long is cut off at the edge of the screen instead of wrapping. */
const cutLines = "\x1b[?7l"
const wrapLines = "\x1b[?7h"

/** Milliseconds between redraws. */
const frame = 100
/** Milliseconds between looks at whether there is something to say without a terminal. */
const look = 1000
/** The width of the bar on terminals of at least so many columns. */
const bars = [
  { columns: 100, width: 20 },
  { columns: 60, width: 10 },
] as const
/** A label is not shortened further than this for the sake of the note beside it. */
const shortestLabel = 16
/** A note that would be shorter than this says nothing. */
const shortestNote = 8
/** Columns of a terminal that does not report them. */
const defaultColumns = 80

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
 * is left out: the plugin is at its start, the seed at its end; then that of the note. Only wide terminals have a bar.
 */
export const progressLine = (label: string, progress: JobProgress | undefined, columns: number): string => {
  const { done, total, note } = progress ?? { done: 0, total: 0, note: "" }
  const width = bars.find((each) => columns >= each.columns)?.width ?? 0
  const full = Math.round(total === 0 ? 0 : (done / total) * width)
  const bar = width === 0 ? "" : `  ${"█".repeat(full)}${"░".repeat(width - full)}`
  const begin = `${bar}${String(percent({ done, total })).padStart(width === 0 ? 3 : 4)} % `
  const room = columns - CliOutput.displayWidth(begin)
  const name = printable(label)
  const least = Math.min(shortestLabel, CliOutput.displayWidth(name))
  const space = room - least - 1
  const end = note === "" || space < shortestNote ? "" : ` ${withoutMiddle(printable(note), space)}`
  return `${begin}${withoutMiddle(name, room - CliOutput.displayWidth(end))}${end}`
}

export class Display {
  private readonly run: RunLog
  private drawn = 0
  /** Whether the live lines are drawn: on a terminal, until the display is closed. */
  private live: boolean
  private readonly timer: ReturnType<typeof setInterval>

  constructor(
    plan: Plan,
    private readonly target: DisplayTarget,
  ) {
    this.run = new RunLog(plan, seconds())
    this.live = redraws(target)
    this.timer = setInterval(this.tick, this.live ? frame : look)
    if (this.live) target.write(hideCursor)
  }

  /** Prints a line above the live ones. */
  readonly log = (line: string): void => {
    const text = printable(line, "\n\t")
    if (this.live) this.draw(`${text}\n`)
    else this.target.write(`${text}\n`)
  }

  readonly onEvent = (event: Event): void => {
    for (const line of this.run.onEvent(event, seconds())) this.log(line)
  }

  /** Prints what is left to say, erases the live lines and stops redrawing them. */
  readonly close = (): void => {
    clearInterval(this.timer)
    for (const line of this.run.rest()) this.log(line)
    if (this.live) this.target.write(`${eraseLines(this.drawn)}${showCursor}`)
    this.live = false
    this.drawn = 0
  }

  private readonly tick = () => {
    const lines = this.run.tick(seconds(), this.live)
    if (this.live) this.draw(lines.map((line) => `${line}\n`).join(""))
    else for (const line of lines) this.log(line)
  }

  /** Redraws the live lines, in one write so that they do not flicker, with `above` printed above them. */
  private draw(above = "") {
    const columns = this.target.columns || defaultColumns
    // Lines beyond the screen could not be erased again.
    const room = Math.max(1, (this.target.rows || 24) - 4)
    const { running, waiting } = this.run
    const shown = [...running].slice(0, room)
    const hidden = running.size - shown.length
    const lines = [
      widestThatFits(summaryForms(this.run, seconds()), columns),
      ...shown.map(([job, { progress }]) => progressLine(runningLabel(job), progress, columns)),
      ...(hidden > 0 ? [`  and ${hidden} more`] : []),
      ...(waiting.size > 0 ? [`  ${waitingText(waiting.size)}`] : []),
    ]
    const live = `${cutLines}${lines.join("\n")}\n${wrapLines}`
    this.target.write(`${eraseLines(this.drawn)}${above}${live}`)
    this.drawn = lines.length
  }
}

const seconds = (): number => performance.now() / 1000

/** The first of several forms, from the longest to the shortest, that has room. */
const widestThatFits = (forms: readonly string[], columns: number): string =>
  forms.find((form) => CliOutput.displayWidth(form) <= columns) ?? withoutMiddle(forms.at(-1)!, columns)
