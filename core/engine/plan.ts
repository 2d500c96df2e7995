/**
 * Plans a run before anything is computed: which units are needed and not yet in the store, the jobs that make them,
 * and what those will cost.
 */
import { Effect } from "effect"
import { type Cost, together } from "../api/cost.ts"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"
import { type Graph, inputsOf, type Unit } from "./graph.ts"
import { makespan, type Task } from "./makespan.ts"
import { Store, type Stored } from "./store.ts"

/** A job of one process: a unit, or a run together with the probes that watch it. */
export interface Job {
  readonly unit: Unit
  /** Whether the unit's own artifact is wanted; if not, the run is only replayed for its observers. */
  readonly wanted: boolean
  readonly observers: readonly Unit[]
  readonly cost: Cost
}

export interface Plan {
  readonly graph: Graph
  readonly backend: string
  /** What the store holds, by the key of the unit. */
  readonly stored: ReadonlyMap<string, Stored>
  /** A job starts when those whose output it takes have ended. */
  readonly jobs: readonly Job[]
  readonly estimate: PlanEstimate
}

export interface PlanEstimate {
  readonly flops: number
  /** Floating-point operations per second that one process is expected to reach. */
  readonly flopsPerSecond: number
  /** Whether `flopsPerSecond` was measured on finished units of this store, rather than assumed for the backend. */
  readonly measured: boolean
  /** How many jobs run in parallel. */
  readonly processes: number
  /** Wall-clock seconds on that many processes. */
  readonly seconds: number
  /** The largest job's memory times the processes, bytes. */
  readonly memory: number
  readonly disk: number
  readonly scratch: number
}

export const jobFor = (unit: Unit, wanted: boolean, observers: readonly Unit[]): Job => ({
  unit,
  wanted,
  observers,
  cost: together([unit, ...observers].map(({ cost }) => cost)),
})

/** The units that a job makes. */
const unitsGivenBy = ({ unit, wanted, observers }: Job): readonly Unit[] =>
  wanted ? [unit, ...observers] : observers

/** The keys of the units that a job makes. */
export const keysGivenBy = (job: Job): readonly string[] => unitsGivenBy(job).map(({ key }) => key)

/** The state of a unit in a plan. A replayed run is run again only for the probes that watch it. */
export type UnitState = Stored["status"] | "to do" | "replayed"

export const unitStates = ({ graph, jobs, stored }: Plan): ReadonlyMap<Unit, UnitState> => {
  const todo = new Set(jobs.flatMap(unitsGivenBy))
  const replayed = new Set(jobs.map(({ unit }) => unit))
  return new Map(
    graph.units.map((unit) => [
      unit,
      todo.has(unit) ? "to do" : replayed.has(unit) ? "replayed" : (stored.get(unit.key)?.status ?? "absent"),
    ]),
  )
}

/** The keys of the units whose artifacts a job takes. */
export const keysTakenBy = (job: Job): readonly string[] =>
  [job.unit, ...job.observers].flatMap(inputsOf).map(({ key }) => key)
/**
 * Makes the plan. Reads only manifests and divergences from the store.
 *
 * @throws FileError if one of them cannot be read
 */
export const planOf = Effect.fn("planOf")(function* (
  graph: Graph,
  settings: EstimateSettings,
): Effect.fn.Return<Plan, FileError | InvalidInput, Store> {
  const store = yield* Store
  const entries = yield* Effect.forEach(
    graph.units,
    (unit) => Effect.map(store.stored(unit), (stored) => [unit.key, stored] as const),
    { concurrency: 16 },
  )
  const found = new Map<string, Stored>(entries)
  const stored = new Map(entries.map(([key, entry]) => [key, isCurrent(entry, found) ? entry : absent]))
  const jobs = jobsOf(graph, stored)
  return { graph, backend: settings.backend, stored, jobs, estimate: planEstimate(jobs, stored, settings) }
})

interface EstimateSettings {
  readonly backend: string
  /** What each of this many processes can be expected to reach on the backend. */
  readonly flopsPerSecond: (processes: number) => number
  /** The largest number of jobs in parallel. */
  readonly processes: number
}

const absent: Stored = { status: "absent" }

/** A report made without some runs stays valid only if those have diverged; failed runs are tried again. */
const isCurrent = (entry: Stored, found: ReadonlyMap<string, Stored>): boolean =>
  entry.status !== "done" || entry.manifest.missing.every((key) => found.get(key)?.status === "diverged")

const jobsOf = (graph: Graph, stored: ReadonlyMap<string, Stored>): readonly Job[] => {
  const needed = new Set<Unit>()
  const need = (unit: Unit): void => {
    if (needed.has(unit) || stored.get(unit.key)?.status !== "absent") return
    needed.add(unit)
    for (const input of [unit, ...(unit.watched === null ? [] : [unit.watched])].flatMap(inputsOf))
      need(input)
  }
  for (const units of Object.values(graph.targets)) units.forEach(need)

  const observers = Map.groupBy(
    [...needed].filter((unit) => unit.watched !== null),
    (unit) => unit.watched,
  )
  return graph.units
    .filter((unit) => unit.watched === null && (needed.has(unit) || observers.has(unit)))
    .map((unit) => jobFor(unit, needed.has(unit), observers.get(unit) ?? []))
}

const planEstimate = (
  jobs: readonly Job[],
  stored: ReadonlyMap<string, Stored>,
  { backend, flopsPerSecond: known, processes: most }: EstimateSettings,
): PlanEstimate => {
  const processes = Math.max(1, Math.min(most, jobs.length))
  const timed = [...stored.values()].flatMap((entry) =>
    entry.status === "done" && entry.manifest.backend === backend && entry.manifest.seconds > 1
      ? [entry.manifest]
      : [],
  )
  const measuredSeconds = timed.reduce((sum, { seconds }) => sum + seconds, 0)
  const measuredFlops = timed.reduce((sum, { flops }) => sum + flops, 0)
  const measured = measuredSeconds > 0 && measuredFlops > 0
  const flopsPerSecond = measured ? measuredFlops / measuredSeconds : known(processes)

  const sum = (part: (cost: Cost) => number) => jobs.reduce((total, job) => total + part(job.cost), 0)
  const largest = (part: (cost: Cost) => number) => Math.max(0, ...jobs.map((job) => part(job.cost)))
  return {
    flops: sum((cost) => cost.flops),
    flopsPerSecond,
    measured,
    processes,
    seconds: makespan(tasksOf(jobs, flopsPerSecond), processes),
    memory: largest((cost) => cost.memory) * processes,
    disk: sum((cost) => cost.disk),
    scratch: largest((cost) => cost.scratch) * processes,
  }
}

const tasksOf = (jobs: readonly Job[], flopsPerSecond: number): readonly Task[] => {
  const makers = new Map(jobs.flatMap((job, index) => keysGivenBy(job).map((key) => [key, index] as const)))
  return jobs.map((job) => ({
    seconds: job.cost.flops / flopsPerSecond,
    after: [...new Set(keysTakenBy(job).flatMap((key) => makers.get(key) ?? []))],
  }))
}
