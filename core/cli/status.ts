/** `bun run status [DIR]`: how far what was launched has come, from the store alone. */
import { join } from "node:path"
import { Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { type Launch, launchesIn, readLaunch } from "../engine/launch.ts"
import { type LaunchStatus, lastLine, logOf, statusOf, type UnitStatus } from "../engine/status.ts"
import { Leases } from "../engine/store/leases.ts"
import { describeOwner, type OwnerSeen, Owners } from "../engine/store/owners.ts"
import { formatSeconds, plural } from "../io/format.ts"
import { textFlag } from "./compute-flags.ts"
import { exitWith } from "./exit.ts"
import { readablePath } from "./readable-path.ts"
import { storeAt, storeFlags } from "./store/listing.ts"

/** Lines of a kind that are shown without `--all`. */
const mostShown = 20

export const statusCommand = Command.make(
  "status",
  {
    dir: Argument.String("dir").pipe(
      Argument.withDescription("The folder that pipelines write to (default: out)"),
      Argument.withDefault("out"),
    ),
    launch: textFlag("launch", "ID").pipe(
      Flag.withDescription("One launch, by the name of its folder in DIR/launches, or the start of it"),
      Flag.optional,
    ),
    all: Flag.Boolean("all").pipe(
      Flag.withDescription("All launches and all units, not the last launch of each report"),
      Flag.withDefault(false),
    ),
    json: storeFlags.json,
  },
  Effect.fn("status")(function* ({ dir, launch: wanted, all, json }) {
    const out = yield* storeAt(dir)
    const ids = yield* launchesIn(out)
    const chosen = Option.isNone(wanted) ? ids : ids.filter((id) => id.startsWith(wanted.value))
    if (chosen.length === 0) {
      const what = Option.isNone(wanted)
        ? "nothing has been launched there"
        : `there is no launch ${wanted.value}`
      return yield* exitWith(2, `${out}: ${what}`)
    }
    const launches: Launch[] = []
    const reports = new Set<string>()
    for (const id of chosen) {
      const launch = yield* Effect.catch(readLaunch(out, id), ({ message }) =>
        Effect.as(
          Effect.sync(() => process.stderr.write(`${message}. \`store verify --repair\` sets it aside\n`)),
          undefined,
        ),
      )
      if (launch === undefined || (reports.has(launch.report) && !all && Option.isNone(wanted))) continue
      reports.add(launch.report)
      launches.push(launch)
    }
    const services = Layer.provideMerge(
      Leases.layer(out),
      Owners.layer(out, { role: "supervisor", command: "status" }),
    )
    const statuses = yield* Effect.provide(
      Effect.forEach(launches, (launch) => statusOf(out, launch)),
      services,
    )
    if (json) {
      process.stdout.write(`${JSON.stringify(statuses.map(statusJson), null, 1)}\n`)
      return
    }
    for (const [i, status] of statuses.entries()) {
      const lines = yield* statusLines(out, status, all ? Number.POSITIVE_INFINITY : mostShown)
      process.stdout.write(`${i === 0 ? "" : "\n"}${lines.join("\n")}\n`)
    }
  }),
).pipe(
  Command.withDescription(
    "Show what is done, running, failed and waiting, from any host that sees the folder",
  ),
)

const statusJson = ({ launch, units, remaining }: LaunchStatus) => {
  const { id, made, name, report, command } = launch
  return { launch: { id, made, name, report, command }, remaining, units }
}

type In<S extends UnitStatus["state"]> = Extract<UnitStatus, { state: S }>

const statusLines = Effect.fnUntraced(function* (
  out: string,
  { launch, units, remaining }: LaunchStatus,
  most: number,
) {
  const of = <S extends UnitStatus["state"]>(state: S) =>
    units.flatMap((unit, index) => (unit.state === state ? [{ unit: unit as In<S>, index }] : []))
  const [done, running, diverged, failed] = [of("done"), of("running"), of("diverged"), of("failed")]
  const [ready, waiting, blocked] = [of("ready"), of("waiting"), of("blocked")]
  const counts = [
    [diverged.length, "diverged"],
    [running.length, "running"],
    [failed.length, "failed"],
    [ready.length, "ready"],
    [waiting.length, "waiting"],
    [blocked.length, "not to be made"],
  ] as const
  const left = running.length + ready.length + waiting.length
  const end =
    left === 0
      ? ""
      : running.length === 0
        ? "; nobody is at work: the same command goes on"
        : remaining === null
          ? ""
          : `; about ${formatSeconds(remaining)} left`
  const shown = counts.flatMap(([count, word]) => (count === 0 ? [] : [`${count} ${word}`]))
  const lines = [
    `${launch.name}: ${[`${done.length} of ${plural(units.length - of("replayed").length, "unit")} done`, ...shown].join(", ")}${end}`,
    `  launched ${launch.made.slice(0, 16).replace("T", " ")} UTC: ${launch.command}`,
    `  report: ${readablePath(join(out, launch.report))}`,
  ]
  const add = (title: string, all: readonly string[]) => {
    if (all.length === 0) return
    lines.push(title, ...all.slice(0, most).map((line) => `  ${line}`))
    if (all.length > most) lines.push(`  and ${all.length - most} more`)
  }
  const path = (index: number) => readablePath(logOf(out, launch, index))
  // Probes run with the run that they watch, and are told with it.
  const apart = <S extends UnitStatus["state"]>(all: readonly { unit: In<S>; index: number }[]) =>
    all.filter(({ unit }) => !unit.takes.some((index) => units[index]!.state === unit.state))
  const jobs = apart(running)
  const now = Date.now()
  const told: string[] = []
  for (const { unit, index } of jobs.slice(0, most)) {
    const since = formatSeconds(Math.max(0, (now - Date.parse(unit.since)) / 1000))
    const last = yield* lastLine(logOf(out, launch, index))
    const progress = /^\S+ (\d+ of \d+.*)$/.exec(last ?? "")?.[1]
    told.push(
      `${unit.label}: ${whoText(unit.by)}, for ${since}${progress === undefined ? "" : `, ${progress}`}${silenceText(unit.by)}`,
    )
  }
  if (jobs.length > told.length) told.push(`and ${jobs.length - told.length} more`)
  if (told.length > 0) lines.push("running", ...told.map((line) => `  ${line}`))
  add(
    "failed, tried again by the next run",
    apart(failed).map(
      ({ unit, index }) => `${unit.label}: ${unit.reason.split("\n", 1)[0]} (${path(index)})`,
    ),
  )
  add(
    "diverged",
    apart(diverged).map(({ unit }) => `${unit.label}: ${unit.reason}`),
  )
  add(
    "waiting",
    waitingLines(
      [...waiting, ...blocked].map(({ unit }) => unit),
      units,
    ),
  )
  return lines
})

/** A process of another host shows much more often than this that it lives, ms. */
const longestSilence = 600_000

const whoText = (by: OwnerSeen | null): string =>
  by === null ? "a process that has just ended" : describeOwner(by)

const silenceText = (by: OwnerSeen | null): string => {
  const silent = by?.life === "unknown" ? Date.now() - by.seen.getTime() : 0
  return silent < longestSilence ? "" : `; silent for ${formatSeconds(silent / 1000)}, so probably gone`
}

/** `12 units on simcse seed=42`, the most first: by what has yet to be made first. */
const waitingLines = (pending: readonly In<"waiting" | "blocked">[], units: readonly UnitStatus[]) => {
  const groups = Map.groupBy(pending, ({ state, on }) => {
    const first = units[on[0]!]!
    const others = on.length === 1 ? "" : ` and ${plural(on.length - 1, "other unit")}`
    return state === "blocked" ? `not to be made without ${first.label}` : `on ${first.label}${others}`
  })
  return [...groups]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([what, all]) => `${plural(all.length, "unit")} ${what}`)
}
