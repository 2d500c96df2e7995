/**
 * What a worker printed while it made a unit, and how that went, kept beside the store: for whoever asks later, from
 * another host, or after the terminal is gone.
 *
 * ```
 * OUT/logs/<plugin>-<key>.log
 * ```
 */
import { appendFileSync, mkdirSync, statSync } from "node:fs"
import { hostname } from "node:os"
import { dirname, join } from "node:path"
import { plural, printable } from "../io/format.ts"
import type { UnitOutcome } from "./job.ts"
import type { Reply } from "./messages.ts"
import type { Job } from "./plan.ts"
import { folderName, partsOfName } from "./store/record.ts"
import type { Unit } from "./unit.ts"

/** The log of a unit: of the run, if probes were made with it. */
export const logPath = (out: string, plugin: string, key: string): string =>
  join(out, "logs", `${folderName(plugin, key)}.log`)

/** The name of the folder of a unit's artifact, by that of its log; undefined for any other name. */
export const unitOfLog = (name: string): string | undefined => {
  const unit = name.replace(/\.log$/, "")
  return unit !== name && partsOfName(unit) !== undefined ? unit : undefined
}

/** A plugin that prints at every step must not fill the disk, bytes. */
const longestLog = 2 ** 24

/** Between two lines about progress, ms. */
const progressEvery = 60_000

/** Appends to the log of one unit. What cannot be written is left out: a log is no reason to stop. */
export class UnitLog {
  private readonly path: string
  private full = false
  private told = Number.NEGATIVE_INFINITY

  constructor(out: string, { plugin, key }: Unit) {
    this.path = logPath(out, plugin.name, key)
  }

  readonly begun = (pid: number | undefined, threads: number): void => {
    this.told = performance.now()
    this.write(`begun in process ${pid} on ${hostname()} with ${plural(threads, "thread")}`)
  }

  readonly progress = ({ done, total, note }: Extract<Reply, { type: "progress" }>): void => {
    const now = performance.now()
    if (now - this.told < progressEvery) return
    this.told = now
    this.write(`${done} of ${total} ${note}`.trimEnd())
  }

  readonly ended = ({ unit, observers }: Job, outcomes: readonly UnitOutcome[]): void => {
    const labels = new Map([unit, ...observers].map(({ key, label }) => [key, label]))
    for (const outcome of outcomes) {
      const reason = outcome.status === "done" ? "" : `: ${outcome.reason}`
      const status = outcome.status === "done" && outcome.elsewhere ? "was there already" : outcome.status
      this.write(`${status}: ${labels.get(outcome.key)}${reason}`)
    }
  }

  readonly stopped = (): void => {
    if (this.told > 0) this.write("stopped, with its state kept")
  }

  readonly write = (line: string): void => {
    if (this.full) return
    try {
      mkdirSync(dirname(this.path), { recursive: true })
      appendFileSync(this.path, `${new Date().toISOString()} ${printable(line)}\n`)
      if (statSync(this.path).size < longestLog) return
      appendFileSync(this.path, `${new Date().toISOString()} the log is full: nothing more is kept\n`)
      this.full = true
    } catch {
      this.full = true
    }
  }
}
