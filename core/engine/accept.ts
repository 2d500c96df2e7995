/**
 * Edits that give the same: artifacts that were made by other code are taken over under today's keys, after a sample of
 * their units has been computed again and has given the same bits.
 *
 * An entry is taken over if its key differs from a unit's only in the sources and packages that a person named, and in
 * the keys of inputs that are taken over with it. Reports are made again instead.
 */
import { dirname } from "node:path"
import { Effect } from "effect"
import { InvalidInput } from "../io/decode.ts"
import { canonicalJson } from "../io/digest.ts"
import type { FileError } from "../io/files.ts"
import { nearestName } from "../io/nearest-name.ts"
import type { Summary } from "./execute.ts"
import type { KeyParts } from "./key.ts"
import { type EstimateSettings, jobFor, jobSeconds, jobsThatMake, type Plan } from "./plan.ts"
import { differing } from "./reason.ts"
import { assumedSpeeds, measuredSpeeds, type Speeds } from "./speeds.ts"
import type { Acceptance } from "./store/manifest.ts"
import { Store } from "./store/store.ts"
import { type Entry, keysIn, keysOfRecord, recordOf, type Stored, storedAs } from "./store/stored.ts"
import { inputsOf, type Unit, type UnitInput, unitsOf } from "./unit.ts"

/** An entry that can be taken over for a unit that has none. */
export interface Adoption {
  readonly unit: Unit
  readonly entry: Entry
  /** The sources and packages that differ; none if only what the unit takes is taken over. */
  readonly changed: readonly string[]
}

/** More than one unit of each plugin is computed again only as long as that takes less than this, s. */
export const sampleSeconds = 60

/** Sources and packages by name, the backend's too. */
const codeOf = ({ sources, packages, backend }: KeyParts) => ({
  sources: { ...backend?.sources, ...sources },
  packages: { ...backend?.packages, ...packages },
})

/**
 * The names of all sources and packages that a person names by a path, by its end, by a package, or by a plugin, which
 * stands for the sources that nothing but that plugin runs. If several paths have the same end, it is the one that was
 * edited, as a plan names it.
 *
 * @param edited the sources in which units differ from what was last made for them
 * @throws InvalidInput if a name stands for nothing, or for several files
 */
const namedBy = (
  names: readonly string[],
  units: readonly Unit[],
  entries: readonly Entry[],
  edited: ReadonlySet<string>,
): Effect.Effect<ReadonlySet<string>, InvalidInput> =>
  Effect.suspend(() => {
    const parts = [...units.map((unit) => unit.parts), ...entries.map((entry) => entry.parts)]
    const sources = new Set(parts.flatMap((each) => Object.keys(codeOf(each).sources)))
    const packages = new Set(parts.flatMap((each) => Object.keys(codeOf(each).packages)))
    const plugins = new Set(parts.map(({ plugin }) => plugin.name))
    const named = new Set<string>()
    const problems: string[] = []
    for (const name of names) {
      const all = [...sources].filter((path) => path === name || path.endsWith(`/${name}`))
      const some = all.filter((path) => edited.has(path))
      const ending = some.length > 0 ? some : all
      if (plugins.has(name)) {
        const others = new Set(
          units
            .filter(({ plugin }) => plugin.name !== name)
            .flatMap((unit) => Object.keys(codeOf(unit.parts).sources)),
        )
        for (const { plugin, sources: own } of parts) {
          if (plugin.name !== name) continue
          for (const path of Object.keys(own)) if (!others.has(path)) named.add(path)
        }
      } else if (packages.has(name)) named.add(name)
      else if (ending.length === 1) named.add(ending[0]!)
      else if (ending.length > 1)
        problems.push(`${name}: expected a longer path, found ${ending.sort().join(", ")}`)
      else {
        const near = nearestName(name, [
          ...plugins,
          ...packages,
          ...[...sources].map((path) => path.split("/").at(-1)!),
        ])
        const hint = near === undefined ? "" : `; did you mean ${near}?`
        problems.push(`${name}: expected a source, a plugin or a package of this pipeline, found none${hint}`)
      }
    }
    return problems.length > 0
      ? Effect.fail(new InvalidInput({ what: "--accept", problems }))
      : Effect.succeed(named)
  })

/**
 * What can be taken over, each after what it takes.
 *
 * @param names files, plugins and packages whose change is accepted
 * @throws InvalidInput if one of these is unknown or ambiguous, or if nothing can be taken over without others
 */
export const adoptionsOf = Effect.fn("adoptionsOf")(function* (
  { graph, stored }: Pick<Plan, "graph" | "stored">,
  names: readonly string[],
): Effect.fn.Return<readonly Adoption[], FileError | InvalidInput, Store> {
  const store = yield* Store
  const entries = yield* store.entries(new Set(graph.units.map(({ plugin }) => plugin.name)))
  const candidates = Map.groupBy(entries, ({ parts }) => identityOf(parts))
  const edited = new Set(
    graph.units.flatMap((unit) => {
      const newest = keysIn(stored.get(unit.key)!).length > 0 ? [] : candidates.get(identityOf(unit.parts))
      return newest?.[0] === undefined ? [] : changesOf(newest[0], unit)
    }),
  )
  const accepted = yield* namedBy(names, graph.units, entries, edited)
  const adoptions: Adoption[] = []
  const others = new Map<string, Unit>()
  /**
   * The keys under which today's artifact of a unit is, or was, in the store; and its key today, since a run that only
   * its probes needed has left no artifact.
   */
  const keys = new Map<Unit, ReadonlySet<string>>()
  for (const unit of graph.units) {
    const present = keysIn(stored.get(unit.key)!)
    keys.set(unit, new Set([unit.key, ...present]))
    if (present.length > 0 || unit.plugin.stage === "report") continue
    const fit = (candidates.get(identityOf(unit.parts)) ?? []).flatMap((entry) => {
      const complete = !("files" in entry.record) || entry.record.missing.length === 0
      if (!complete || !takesSame(unit, entry.parts, keys)) return []
      const changed = changesOf(entry, unit)
      const other = changed.find((name) => !accepted.has(name))
      if (other === undefined) return [{ unit, entry, changed }]
      others.set(other, unit)
      return []
    })
    const [newest] = fit
    if (newest === undefined) continue
    adoptions.push(newest)
    // What was made from an older one of the same bits was made from the same.
    const same = fit.filter(({ entry }) => contentOf(entry) === contentOf(newest.entry))
    keys.set(unit, new Set(same.flatMap(({ entry }) => keysOfRecord(entry.record))))
  }
  if (adoptions.length === 0 && others.size > 0) {
    // Without an error, everything would now be computed again.
    const problems = [...others].map(
      ([name, { label }]) => `${label} differs in ${name}: if that gives the same too, add --accept ${name}`,
    )
    return yield* new InvalidInput({ what: `--accept ${names.join(" ")}`, problems })
  }
  return adoptions
})

/** What must not differ: all parts of a key except the code and the keys of other units. */
const identityOf = ({ plugin, options, read, backend }: KeyParts): string =>
  canonicalJson([plugin, options, Object.values(read), backend?.arithmetic ?? null])

const changesOf = ({ parts }: Entry, unit: Unit): readonly string[] => {
  const [before, now] = [codeOf(parts), codeOf(unit.parts)]
  return [...differing(before.sources, now.sources), ...differing(before.packages, now.packages)]
}

/** Whether an entry was made from what the unit takes. */
const takesSame = (unit: Unit, { inputs, watched }: KeyParts, keys: ReadonlyMap<Unit, ReadonlySet<string>>) =>
  (unit.watched === null ? watched === null : watched !== null && keys.get(unit.watched)!.has(watched)) &&
  Object.keys(inputs).length === Object.keys(unit.inputs).length &&
  Object.entries(unit.inputs).every(([name, input]) =>
    sameInput(input, unit.parts.inputs[name], inputs[name], keys),
  )

const sameInput = (
  input: UnitInput,
  now: unknown,
  before: unknown,
  keys: ReadonlyMap<Unit, ReadonlySet<string>>,
): boolean => {
  const renamed = new Map(
    unitsOf(input).flatMap((unit) => [...keys.get(unit)!].map((key) => [key, unit.key] as const)),
  )
  const today = JSON.stringify(before, (_, value: unknown) =>
    typeof value === "string" ? (renamed.get(value) ?? value) : value,
  )
  return today === JSON.stringify(now)
}

/** Equal for artifacts of the same files, and for divergences at the same step. */
const contentOf = ({ record }: Entry): string =>
  "files" in record ? record.digest : `${record.step} ${record.reason}`

/** What a unit takes alone if it is computed again, s. */
const secondsToMake = ({ unit, entry: { record } }: Adoption, speeds: Speeds): number => {
  const job = unit.watched === null ? jobFor(unit, true, []) : jobFor(unit.watched, false, [unit])
  return jobSeconds(job, speeds) || ("files" in record ? record.seconds : 0)
}

/** A sample of what is taken over, and how long computing it again takes, s. */
export interface Sample {
  readonly adoptions: readonly Adoption[]
  readonly seconds: number
}

/**
 * The units to compute again: of each plugin whose code differs, the cheapest; and others as long as all together take
 * less than `sampleSeconds`, the cheapest first. A run that finished says more than one that diverged.
 */
export const sampleOf = (
  adoptions: readonly Adoption[],
  { backend, flopsPerSecond, device, threads }: EstimateSettings,
): Sample => {
  const manifests = adoptions.flatMap(({ entry: { record } }) => ("files" in record ? [record] : []))
  const speeds =
    measuredSpeeds(manifests, backend, threads(1)) ?? assumedSpeeds(flopsPerSecond(1), device?.secondsPerCall)
  const edited = adoptions
    .filter(({ changed }) => changed.length > 0)
    .map((adoption) => ({
      adoption,
      seconds: secondsToMake(adoption, speeds),
      diverged: !("files" in adoption.entry.record),
    }))
    .sort((a, b) => Number(a.diverged) - Number(b.diverged) || a.seconds - b.seconds)
  const first = new Map<string, (typeof edited)[number]>()
  for (const each of edited) {
    const { name } = each.adoption.unit.plugin
    if (!first.has(name)) first.set(name, each)
  }
  const chosen = new Set(first.values())
  let seconds = [...chosen].reduce((sum, each) => sum + each.seconds, 0)
  for (const each of edited) {
    if (chosen.has(each) || seconds + each.seconds > sampleSeconds) continue
    chosen.add(each)
    seconds += each.seconds
  }
  return { adoptions: [...chosen].map(({ adoption }) => adoption), seconds }
}

/**
 * Computes a sample again, from the artifacts that would be taken over, in a store beside.
 *
 * @param scratch the folder of that store, which the caller deletes
 * @param carryOut runs a plan in that store
 * @throws InvalidInput naming the units and files that differ
 */
export const compareSample = Effect.fn("compareSample")(function* <E, R>(
  plan: Plan,
  adoptions: readonly Adoption[],
  sample: readonly Adoption[],
  scratch: string,
  carryOut: (plan: Plan) => Effect.Effect<Summary, E, R>,
) {
  const store = yield* Store
  const beside = yield* Effect.provide(Store, Store.layer(scratch))
  const adopted = new Map(adoptions.map(({ unit, entry }) => [unit, entry]))
  const computed = sample.flatMap(({ unit }) => (unit.watched === null ? [unit] : [unit, unit.watched]))
  const inputs = new Set(computed.flatMap(inputsOf))
  for (const unit of inputs) {
    const entry = adopted.get(unit) ?? (yield* entryOf(store, unit, plan.stored.get(unit.key)!))
    if (entry === undefined) continue
    yield* beside.adopt(unit, entry, entry.record.accepted ?? [])
  }
  const wanted = new Set(sample.map(({ unit }) => unit))
  const absent = [...wanted].map(({ key }) => [key, { status: "absent" }] as const)
  const stored = new Map<string, Stored>([...plan.stored, ...storedOf(adoptions, ""), ...absent])
  const { failures } = yield* carryOut({ ...plan, stored, jobs: jobsThatMake(plan.graph, wanted) })
  const problems: string[] = []
  for (const { unit, entry } of sample) {
    const again = yield* beside.stored(unit)
    const failure = failures.find((each) => each.unit === unit && each.status === "failed")
    const problem = failure === undefined ? differenceFrom(entry, again) : `it failed: ${failure.reason}`
    if (problem !== undefined) problems.push(`${unit.label}: computed again, ${problem}`)
  }
  if (problems.length === 0) return
  return yield* new InvalidInput({ what: "--accept: nothing was accepted, since results differ", problems })
})

/** The artifact that the store has for a unit, its files verified; undefined if it has none, as of a run that diverged. */
const entryOf = Effect.fnUntraced(function* (store: Store["Service"], unit: Unit, stored: Stored) {
  const record = recordOf(stored)
  if (record === undefined || !("files" in record)) return undefined
  return { folder: dirname(yield* store.open(unit)), record, parts: unit.parts }
})

/** How what was computed again differs from an entry; undefined if it does not. */
const differenceFrom = ({ record }: Entry, again: Stored): string | undefined => {
  if (!("files" in record)) {
    const found =
      again.status === "diverged" ? `it diverged at step ${again.record.step}` : "it did not diverge"
    const same =
      again.status === "diverged" &&
      again.record.step === record.step &&
      again.record.reason === record.reason
    return same ? undefined : `${found}; before, it diverged at step ${record.step} (${record.reason})`
  }
  if (again.status !== "done")
    return again.status === "diverged" ? `it diverged: ${again.failure.message}` : "it is missing"
  const files = (all: typeof record.files) =>
    Object.fromEntries(all.map(({ path, sha256 }) => [path, sha256]))
  const differ = differing(files(record.files), files(again.manifest.files))
  return differ.length === 0
    ? undefined
    : `${differ.join(", ")} ${differ.length === 1 ? "is" : "are"} different`
}

const acceptanceOf = (
  { entry, changed }: Adoption,
  compared: readonly Adoption[],
  when: string,
): readonly Acceptance[] => [
  ...(entry.record.accepted ?? []),
  { from: entry.record.key, changed: [...changed], when, compared: compared.map(({ unit }) => unit.key) },
]

/** What the store will have, by key, once these are taken over. */
export const storedOf = (adoptions: readonly Adoption[], when: string): ReadonlyMap<string, Stored> =>
  new Map(
    adoptions.map((adoption) => {
      const { key } = adoption.unit
      const accepted = [...acceptanceOf(adoption, [], when)]
      return [key, storedAs({ ...adoption.entry.record, key, accepted })]
    }),
  )

/** Takes them over in their order, so that after a stop the next time finds the rest as it found all. */
export const adopt = Effect.fn("adopt")(function* (
  adoptions: readonly Adoption[],
  compared: readonly Adoption[],
) {
  const store = yield* Store
  const when = new Date().toISOString()
  for (const adoption of adoptions) {
    yield* store.adopt(adoption.unit, adoption.entry, acceptanceOf(adoption, compared, when))
  }
})
