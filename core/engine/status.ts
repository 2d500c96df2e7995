/** How far a launch has come, told from the store alone: from any host that sees it, whoever carries it out. */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { attempt, errorCode, type FileError, namesIn } from "../io/files.ts"
import type { Launch } from "./launch.ts"
import { logPath } from "./logs.ts"
import { makespan } from "./makespan.ts"
import { measuredSpeeds } from "./speeds.ts"
import { type LeaseFound, Leases } from "./store/leases.ts"
import { Divergence, Failed, Manifest } from "./store/manifest.ts"
import { type OwnerSeen, Owners } from "./store/owners.ts"
import { folderName } from "./store/record.ts"
import { Broken, readSealed } from "./store/seal.ts"

/** A unit of a launch, as it is now. */
export type UnitStatus = Launch["units"][number] &
  (
    | { readonly state: "done" }
    | { readonly state: "diverged"; readonly reason: string }
    | { readonly state: "failed"; readonly reason: string }
    /** `by`: who makes it; null if that process has just ended. */
    | { readonly state: "running"; readonly since: string; readonly by: OwnerSeen | null }
    /** Nothing of it is to be kept: only probes need it, and it is run for them, or not even that. */
    | { readonly state: "replayed" }
    /** Nothing it takes is missing. */
    | { readonly state: "ready" }
    /** `on`: the indices of what it takes that is not there yet. */
    | { readonly state: "waiting"; readonly on: readonly number[] }
    /** It takes the output of a unit that failed or diverged, or of one that is blocked in turn. */
    | { readonly state: "blocked"; readonly on: readonly number[] }
  )

export interface LaunchStatus {
  readonly launch: Launch
  readonly units: readonly UnitStatus[]
  /** Until all is done that can be, s, if those who are at work stay; null if nobody is, or no speed is known. */
  readonly remaining: number | null
}

/** How many folders are looked at a time. */
const atOnce = 64
/** How many finished units of a plugin tell its speed. */
const timed = 20

/**
 * The status of a launch.
 *
 * @param out the folder of the store
 */
export const statusOf = Effect.fn("statusOf")(function* (
  out: string,
  launch: Launch,
): Effect.fn.Return<LaunchStatus, FileError, Leases | Owners> {
  const owners = new Map((yield* (yield* Owners).all).map((owner) => [owner.id, owner]))
  const leases = new Map((yield* (yield* Leases).all).map((lease) => [lease.key, lease]))
  const found = yield* Effect.forEach(launch.units, (unit) => recordOf(out, unit, leases.get(unit.key)), {
    concurrency: atOnce,
  })
  const toMake = new Set(
    launch.jobs.flatMap(({ unit, wanted, observers }) => (wanted ? [unit, ...observers] : observers)),
  )
  const units: UnitStatus[] = []
  for (const [index, unit] of launch.units.entries()) {
    const lease = leases.get(unit.key)
    const state = found[index]
    if (state !== undefined) units.push({ ...unit, ...state })
    else if (lease !== undefined) {
      units.push({ ...unit, state: "running", since: lease.taken, by: owners.get(lease.owner) ?? null })
    } else if (!toMake.has(index)) units.push({ ...unit, state: "replayed" })
    else units.push({ ...unit, ...pendingState(unit, units) })
  }
  return { launch, units, remaining: yield* remainingOf(out, launch, units) }
})

type Recorded =
  | { readonly state: "done" }
  | { readonly state: "diverged"; readonly reason: string }
  | { readonly state: "failed"; readonly reason: string }

/** What the store has for a unit. One that failed and that somebody makes again has nothing. */
const recordOf = (out: string, { plugin, key }: Launch["units"][number], lease: LeaseFound | undefined) => {
  const folder = join(out, "artifacts", folderName(plugin, key))
  return attempt("read", folder, async (): Promise<Recorded | undefined> => {
    for (let time = 1; ; time++) {
      try {
        return await recordIn(folder, lease !== undefined)
      } catch (cause) {
        // Another process has replaced it meanwhile.
        if (errorCode(cause) !== "ENOENT" || time === mostTimes) throw cause
      }
    }
  })
}

const mostTimes = 5

const recordIn = async (folder: string, isLeased: boolean): Promise<Recorded | undefined> => {
  const names = await namesIn(folder)
  if (names.includes("manifest.json")) return { state: "done" }
  if (names.includes("divergence.json")) {
    const record = await readSealed(join(folder, "divergence.json"), Divergence)
    return { state: "diverged", reason: record instanceof Broken ? record.what : record.reason }
  }
  if (!names.includes("failure.json") || isLeased) return undefined
  const record = await readSealed(join(folder, "failure.json"), Failed)
  return { state: "failed", reason: record instanceof Broken ? record.what : record.reason }
}

/** Of a unit that nobody makes: what it takes comes before it. */
const pendingState = (
  { takes, members }: Launch["units"][number],
  before: readonly UnitStatus[],
):
  | { readonly state: "ready" }
  | { readonly state: "waiting" | "blocked"; readonly on: readonly number[] } => {
  const isLost = (index: number) => ["diverged", "failed", "blocked"].includes(before[index]!.state)
  /** A probe of a run that is replayed for it waits for what the run takes. */
  const behind = (index: number): readonly number[] =>
    before[index]!.state === "replayed" ? before[index]!.takes.flatMap(behind) : [index]
  const needed = takes.flatMap(behind)
  const lost = needed.filter(isLost)
  if (lost.length > 0) return { state: "blocked", on: lost }
  const on = [...needed, ...members].filter((index) => before[index]!.state !== "done" && !isLost(index))
  return on.length === 0 ? { state: "ready" } : { state: "waiting", on }
}

/** The seconds that what is left takes those who are at work, at the speed of what they have done. */
const remainingOf = Effect.fnUntraced(function* (out: string, launch: Launch, units: readonly UnitStatus[]) {
  const workers = new Set(units.flatMap((unit) => (unit.state === "running" ? [unit.by?.id] : [])))
  if (workers.size === 0) return null
  const manifests: Manifest[] = []
  for (const [, all] of Map.groupBy(
    units.filter(({ state }) => state === "done"),
    ({ plugin }) => plugin,
  )) {
    for (const { plugin, key } of all.slice(-timed)) {
      const path = join(out, "artifacts", folderName(plugin, key), "manifest.json")
      const record = yield* Effect.option(attempt("read", path, () => readSealed(path, Manifest)))
      if (record._tag === "Some" && !(record.value instanceof Broken)) manifests.push(record.value)
    }
  }
  const speeds = measuredSpeeds(manifests, launch.arithmetic, 1)
  if (speeds === undefined) return null
  const isOpen = (index: number) => ["running", "ready", "waiting"].includes(units[index]!.state)
  const jobs = launch.jobs.filter(({ unit, observers }) => [unit, ...observers].some(isOpen))
  const makers = new Map(
    jobs.flatMap(({ unit, observers }, job) => [unit, ...observers].map((index) => [index, job])),
  )
  const now = Date.now()
  const tasks = jobs.map(({ unit, observers, flops }, job) => {
    const status = units[unit]!
    const spent = status.state === "running" ? Math.max(0, (now - Date.parse(status.since)) / 1000) : 0
    const taken = [unit, ...observers].flatMap((index) => [...units[index]!.takes, ...units[index]!.members])
    const after = taken.flatMap((index) => {
      const maker = makers.get(index)
      return maker === undefined || maker === job ? [] : [maker]
    })
    return {
      seconds: Math.max(0, speeds.seconds(status.plugin, { flops, calls: 0 }) - spent),
      after: [...new Set(after)],
    }
  })
  return makespan(tasks, workers.size)
})

/** The log of a unit: of the job that makes it, which is that of the run for a probe. */
export const logOf = (out: string, { units, jobs }: Launch, index: number): string => {
  const job = jobs.find(({ unit, observers }) => unit === index || observers.includes(index))
  const { plugin, key } = units[job?.unit ?? index]!
  return logPath(out, plugin, key)
}

/** The last line of a log, if there is one. */
export const lastLine = (path: string): Effect.Effect<string | undefined> =>
  Effect.promise(async () => {
    const file = await fs.open(path).catch(() => undefined)
    if (file === undefined) return undefined
    try {
      const { size } = await file.stat()
      const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, Math.max(0, size - 4096))
      return buffer.toString("utf8", 0, bytesRead).trimEnd().split("\n").at(-1)
    } catch {
      return undefined
    } finally {
      await file.close()
    }
  })
