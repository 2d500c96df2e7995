/** Flags that commands share: how tensors are computed. */
import { availableParallelism } from "node:os"
import { Duration, Option } from "effect"
import { Flag } from "effect/cli"
import { precisions } from "../api/precision.ts"
import type { ComputeSettings } from "../tensor/backend.ts"

/** A flag whose value is an integer from 1 to 1024. */
export const countFlag = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("N"),
    Flag.filterMap(
      (text) => {
        const count = /^\d+$/.test(text) ? Number(text) : 0
        return count >= 1 && count <= 1024 ? Option.some(count) : Option.none()
      },
      () => "an integer from 1 to 1024",
    ),
    Flag.withDescription(description),
    Flag.optional,
  )

const unitsOfTime = { s: "seconds", m: "minutes", h: "hours", d: "days" } as const

/** A flag whose value is a duration of at least a second: `90s`, `30m`, `12h`, `2d`, `1.5h`. */
export const durationFlag = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("12h"),
    Flag.filterMap(
      (text) => {
        const [, count, unit] = /^(\d{1,9}(?:\.\d{1,9})?)([smhd])$/.exec(text) ?? []
        if (count === undefined) return Option.none()
        const duration = Duration.fromInputUnsafe(`${Number(count)} ${unitsOfTime[unit as "s"]}`)
        return Duration.toSeconds(duration) >= 1 ? Option.some(duration) : Option.none()
      },
      () => "a duration of at least a second: 90s, 30m, 12h, 2d",
    ),
    Flag.withDescription(description),
    Flag.optional,
  )

/** A flag whose value is a text that is not empty: a path, a name. */
export const textFlag = (name: string, metavar: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar(metavar),
    Flag.filter(
      (text) => text !== "",
      () => metavar,
    ),
  )

export const computeFlags = {
  backend: textFlag("backend", "NAME").pipe(
    Flag.withDescription("Tensor backend: auto, or one that `bun run doctor` lists (default: auto)"),
    Flag.withDefault("auto"),
  ),
  threads: countFlag(
    "threads",
    "Threads per job (default: the cores, divided among the jobs that run at the time)",
  ),
  precision: Flag.Literals("precision", precisions).pipe(
    Flag.withMetavar(precisions.join("|")),
    Flag.withDescription(
      "Inputs of matrix products: float32, or rounded to bfloat16; sums stay float32 (default: fp32)",
    ),
    Flag.withDefault("fp32" as const),
  ),
}

/** How each of several processes computes that run at the same time: with the requested threads or, by default, its part of the cores. */
export const computeSettingsOf =
  ({
    threads,
    precision,
  }: {
    readonly threads: Option.Option<number>
    readonly precision: ComputeSettings["precision"]
  }) =>
  (processes: number): ComputeSettings => ({
    threads: Option.getOrElse(threads, () => Math.max(1, Math.floor(availableParallelism() / processes))),
    precision,
  })
