/**
 * Plans a run before anything is computed: which units are needed and not yet in the store, the jobs that make them,
 * and what those will cost.
 */
import { Effect } from "effect"
import { type Cost, onDevice, together } from "../api/cost.ts"
import type { RunLength } from "../api/watch.ts"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"
import { plural } from "../io/format.ts"
import type { Graph } from "./graph.ts"
import { makespan } from "./makespan.ts"
import type { Work } from "./pace.ts"
import { acceptedReason, reasonsOf } from "./reason.ts"
import { assumedSpeeds, idleSeconds, measuredSpeeds, type Speeds } from "./speeds.ts"
import type { Manifest } from "./store/manifest.ts"
import { Store } from "./store/store.ts"
import { type Entry, recordOf, type Stored } from "./store/stored.ts"
import { inputsOf, type Unit } from "./unit.ts"

/** A job of one process: a unit, or a run together with the probes that watch it. */
export interface Job {
  readonly unit: Unit
  /** Whether the unit's own artifact is wanted; if not, the run is only replayed for its observers. */
  readonly wanted: boolean
  readonly observers: readonly Unit[]
  /** What `unit` itself costs here: if it is only replayed, up to the last step that an observer sees. */
  readonly own: Cost
  /** Of the unit and its observers. */
  readonly cost: Cost
}

export interface Plan {
  readonly graph: Graph
  readonly backend: string
  /** What the store holds, by the key of the unit. */
  readonly stored: ReadonlyMap<string, Stored>
  /** A job starts when those whose output it takes have ended. */
  readonly jobs: readonly Job[]
  /** Why units are made or replayed, and that others were accepted; by key. */
  readonly reasons: ReadonlyMap<string, string>
  readonly speeds: Speeds
  readonly estimate: PlanEstimate
}

export interface PlanEstimate {
  readonly flops: number
  /** Floating-point operations per second that one process is expected to reach, on average over the jobs. */
  readonly flopsPerSecond: number
  /** Whether `flopsPerSecond` comes from finished units of this store, rather than being assumed for the backend. */
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

export const jobFor = (unit: Unit, wanted: boolean, observers: readonly Unit[]): Job => {
  const own = wanted ? unit.cost : replayCost(unit, observers)
  return { unit, wanted, observers, own, cost: together([own, ...observers.map(({ cost }) => cost)]) }
}

/** A run that is replayed for its observers stops after the last of their steps, and nothing of it is kept. */
const replayCost = ({ cost, replay }: Unit, observers: readonly Unit[]): Cost => {
  if (replay === undefined) return { ...cost, disk: 0 }
  const { length, flopsPerStep } = replay
  const steps = observers.reduce(
    (last, observer) => Math.max(last, observedSteps(observer, length).at(-1) ?? 0),
    0,
  )
  const flops = Math.min(cost.flops, steps * flopsPerStep)
  return { ...cost, flops, calls: cost.flops === 0 ? 0 : cost.calls * (flops / cost.flops), disk: 0 }
}

/** The steps at which a probe sees a run of this length, ascending; the end counts if it has a `finish`. */
export const observedSteps = ({ plugin, options }: Unit, length: RunLength): readonly number[] => {
  const probe = plugin.probe as unknown as OpenProbe
  const end = probe.finish === undefined ? [] : [length.steps]
  try {
    const chosen = [...probe.steps(options, length)].map((step) => Math.min(step, length.steps))
    return [...chosen, ...end].sort((a, b) => a - b)
  } catch {
    // The probe will fail when the run starts, and says why then.
    return [length.steps]
  }
}

/** A probe without its types: the nodes of the graph were typed. */
interface OpenProbe {
  readonly steps: (options: unknown, run: RunLength) => Iterable<number>
  readonly finish?: unknown
}

/** The units that a job makes. */
export const unitsGivenBy = ({ unit, wanted, observers }: Job): readonly Unit[] =>
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
 * Makes the plan. Reads only manifests, divergences and failures from the store: those of the graph's units, and all of
 * the plugins that have something to do.
 *
 * @param adopted what the plan assumes to be in the store besides what it has
 * @throws FileError if one of the graph's own cannot be read
 */
export const planOf = Effect.fn("planOf")(function* (
  graph: Graph,
  settings: EstimateSettings,
  adopted: ReadonlyMap<string, Stored> = new Map(),
): Effect.fn.Return<Plan, FileError | InvalidInput, Store> {
  const store = yield* Store
  const found = new Map<string, Stored>(
    yield* Effect.forEach(
      graph.units,
      Effect.fnUntraced(function* (unit) {
        return [unit.key, adopted.get(unit.key) ?? (yield* store.stored(unit))] as const
      }),
      { concurrency: 16 },
    ),
  )
  const stored = new Map([...found].map(([key, entry]) => [key, isCurrent(entry, found) ? entry : absent]))
  const jobs = jobsOf(graph, stored).map((job) =>
    settings.device === undefined ? job : { ...job, cost: onDevice(job.cost) },
  )
  const plugins = new Set(
    jobs.flatMap(({ unit, observers }) => [unit, ...observers]).map(({ plugin }) => plugin.name),
  )
  const known = graph.units.filter(({ key }) => recordOf(found.get(key)!) !== undefined)
  const entries = yield* store.entries(plugins, known)
  const reasons = reasonsIn(graph, jobs, found, stored, entries)
  const manifests = [...[...found.values()].flatMap(manifestOf), ...entries.flatMap(manifestOfEntry)]
  const speeds = speedsFor(jobs, manifests, settings)
  const estimate = planEstimate(jobs, speeds, settings.processes)
  return { graph, backend: settings.backend, stored, jobs, reasons, speeds, estimate }
})

export interface EstimateSettings {
  readonly backend: string
  /** What each of this many processes can be expected to reach on the backend. */
  readonly flopsPerSecond: (processes: number) => number
  /** If it computes on a device with memory of its own: the seconds that asking for a kernel takes. */
  readonly device?: { readonly secondsPerCall: number }
  /** With how many threads each of them computes; 1 if the backend has a fixed number. */
  readonly threads: (processes: number) => number
  /** The largest number of jobs in parallel. */
  readonly processes: number
}

const absent: Stored = { status: "absent" }

const manifestOf = (stored: Stored): readonly Manifest[] =>
  stored.status === "done" ? [stored.manifest] : []
const manifestOfEntry = ({ record }: Entry): readonly Manifest[] => ("files" in record ? [record] : [])

/** A report made without some runs stays valid only if those have diverged; failed runs are tried again. */
const isCurrent = (entry: Stored, found: ReadonlyMap<string, Stored>): boolean =>
  lackedBy(entry, found).length === 0

/** The keys of what an artifact was made without, and which was not missing because it diverged. */
const lackedBy = (entry: Stored, found: ReadonlyMap<string, Stored>): readonly string[] =>
  entry.status === "done" ? entry.manifest.missing.filter((key) => found.get(key)?.status !== "diverged") : []

const reasonsIn = (
  graph: Graph,
  jobs: readonly Job[],
  found: ReadonlyMap<string, Stored>,
  stored: ReadonlyMap<string, Stored>,
  entries: readonly Entry[],
): ReadonlyMap<string, string> => {
  const busy = jobs.flatMap(({ unit, observers }) => [unit, ...observers])
  const missing = new Set(busy.filter(({ key }) => found.get(key)!.status === "absent"))
  const changes = reasonsOf(graph.units, missing, ({ key }) => recordOf(found.get(key)!), entries)
  const reasons = new Map([...changes].map(([{ key }, reason]) => [key, reason]))
  for (const { key, parts } of graph.units) {
    const state = found.get(key)!
    if (state.status === "absent" && state.failed !== undefined) reasons.set(key, "failed before")
    const lacked = lackedBy(state, found)
    if (lacked.length > 0) {
      const now = lacked.filter((each) => found.get(each)?.status === "done").length
      reasons.set(key, `lacked ${plural(lacked.length, "result")} ${now > 0 ? "now there" : "tried again"}`)
    }
    const accepted = recordOf(stored.get(key)!)?.accepted?.at(-1)
    if (accepted !== undefined) reasons.set(key, acceptedReason(accepted.changed, parts))
  }
  for (const { unit, wanted } of jobs) {
    if (!wanted) reasons.set(unit.key, found.get(unit.key)!.status === "absent" ? onlyWatched : replayed)
  }
  return reasons
}

const replayed = "new probes watch it"
/** Nothing takes the run itself, so that it is not kept. */
const onlyWatched = "only probes need it"

/** How many units to do there are for each reason, the most frequent first. */
export const reasonCounts = ({
  jobs,
  reasons,
}: Plan): readonly (readonly [reason: string, units: number])[] =>
  [...Map.groupBy(jobs.flatMap(unitsGivenBy), ({ key }) => reasons.get(key)!)]
    .map(([reason, { length }]) => [reason, length] as const)
    .sort(([, a], [, b]) => b - a)

const jobsOf = (graph: Graph, stored: ReadonlyMap<string, Stored>): readonly Job[] =>
  jobsThatMake(
    graph,
    neededIn(graph, ({ key }) => stored.get(key)?.status === "absent"),
  )

/** The units whose artifacts a finished study has: not the runs that only probes need, which are replayed for them. */
export const keptUnits = (graph: Graph): ReadonlySet<Unit> => neededIn(graph, () => true)

/** Those of some units that the targets need, directly or through others of them. */
const neededIn = ({ targets }: Graph, isSome: (unit: Unit) => boolean): ReadonlySet<Unit> => {
  const needed = new Set<Unit>()
  const need = (unit: Unit): void => {
    if (needed.has(unit) || !isSome(unit)) return
    needed.add(unit)
    for (const input of inputsOf(unit)) need(input)
    if (unit.watched !== null) for (const input of inputsOf(unit.watched)) need(input)
  }
  for (const units of Object.values(targets)) units.forEach(need)
  return needed
}

/** The jobs that make these units, each after those whose output it takes. */
export const jobsThatMake = (graph: Graph, wanted: ReadonlySet<Unit>): readonly Job[] => {
  const observers = Map.groupBy(
    [...wanted].filter((unit) => unit.watched !== null),
    (unit) => unit.watched,
  )
  return graph.units
    .filter((unit) => unit.watched === null && (wanted.has(unit) || observers.has(unit)))
    .map((unit) => jobFor(unit, wanted.has(unit), observers.get(unit) ?? []))
}

/** The seconds that a job takes of each of its plugins, in one process. */
export const workOf = ({ unit, own, observers }: Job, speeds: Speeds): Work => {
  const work = new Map([[unit.plugin.name, speeds.seconds(unit.plugin.name, own)]])
  for (const { plugin, cost } of observers)
    work.set(plugin.name, (work.get(plugin.name) ?? 0) + speeds.seconds(plugin.name, cost))
  return work
}

/** The seconds that a job takes in one process. */
export const jobSeconds = ({ unit, own, observers }: Job, speeds: Speeds): number =>
  observers.reduce(
    (sum, { plugin, cost }) => sum + speeds.seconds(plugin.name, cost),
    speeds.seconds(unit.plugin.name, own),
  )

/** What the jobs of a plan are expected to compute with. */
const speedsFor = (
  jobs: readonly Job[],
  manifests: readonly Manifest[],
  { backend, flopsPerSecond, device, threads, processes: most }: EstimateSettings,
): Speeds => {
  const processes = processesFor(jobs, most)
  const speeds =
    measuredSpeeds(manifests, backend, threads(processes)) ??
    assumedSpeeds(flopsPerSecond(processes), device?.secondsPerCall)
  const idle = idleSeconds(manifests)
  return {
    ...speeds,
    seconds: (plugin, cost) => (cost.flops === 0 ? idle(plugin) : speeds.seconds(plugin, cost)),
  }
}

const processesFor = (jobs: readonly Job[], most: number): number => Math.max(1, Math.min(most, jobs.length))

const planEstimate = (jobs: readonly Job[], speeds: Speeds, most: number): PlanEstimate => {
  const processes = processesFor(jobs, most)
  const seconds = jobs.map((job) => jobSeconds(job, speeds))
  const sum = (part: (cost: Cost) => number) => jobs.reduce((total, job) => total + part(job.cost), 0)
  const largest = (part: (cost: Cost) => number) =>
    jobs.reduce((most, job) => Math.max(most, part(job.cost)), 0)
  const flops = sum((cost) => cost.flops)
  const computing = ({ unit, own, observers }: Job) =>
    [{ plugin: unit.plugin, cost: own }, ...observers].reduce(
      (total, { plugin, cost }) => total + (cost.flops === 0 ? 0 : speeds.seconds(plugin.name, cost)),
      0,
    )
  return {
    flops,
    flopsPerSecond:
      flops === 0
        ? 1 / speeds.seconds("", { flops: 1, calls: 0 })
        : flops / jobs.reduce((total, job) => total + computing(job), 0),
    measured: speeds.measured,
    processes,
    seconds: makespan(
      dependencies(jobs).map((after, index) => ({ seconds: seconds[index]!, after })),
      processes,
    ),
    memory: largest((cost) => cost.memory) * processes,
    disk: sum((cost) => cost.disk),
    scratch: largest((cost) => cost.scratch) * processes,
  }
}

/** For each job the indices of those whose output it takes. */
export const dependencies = (jobs: readonly Job[]): readonly (readonly number[])[] => {
  const makers = new Map<string, number>()
  for (const [index, job] of jobs.entries()) for (const key of keysGivenBy(job)) makers.set(key, index)
  return jobs.map((job) => [...new Set(keysTakenBy(job).flatMap((key) => makers.get(key) ?? []))])
}
