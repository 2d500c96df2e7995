/**
 * Why a unit is not in the store: how its key differs from that of the entry that it is likely to replace.
 *
 * The entry is the one that had the same label and options or, if none had, that differs least, provided that what it
 * was made from is the predecessor of what the unit takes, and that no other unit of the plan is closer to it. So a
 * value that is added to a grid has never been made, and one that replaces another was changed. Another seed is another
 * sample, never a change.
 */
import { basename } from "node:path"
import { hubAddress } from "../hub/address.ts"
import { canonicalJson } from "../io/digest.ts"
import type { KeyParts } from "./key.ts"
import { optionValues } from "./label.ts"
import { commitReason } from "./revisions.ts"
import { type Entry, keysOfRecord } from "./store/stored.ts"
import { inputsOf, type Unit, unitsOf } from "./unit.ts"

export const neverMade = "never made"

/** What two keys do not have in common. The lists have names: of options, files, inputs and so on. */
interface Difference {
  readonly version: boolean
  readonly options: readonly string[]
  readonly read: readonly string[]
  readonly sources: readonly string[]
  readonly packages: readonly string[]
  readonly arithmetic: boolean
  readonly inputs: readonly string[]
}

type Table = Readonly<Record<string, unknown>>

/** The names under which two tables differ. */
export const differing = (a: Table, b: Table): readonly string[] =>
  a === b
    ? []
    : [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(
        (name) => a[name] !== b[name] && canonicalJson(a[name] ?? null) !== canonicalJson(b[name] ?? null),
      )

const compared = new WeakMap<Table, WeakMap<Table, readonly string[]>>()

/** The same for tables that many units have in common, which are compared once. */
const differingShared = (a: Table = noTable, b: Table = noTable): readonly string[] => {
  const known = compared.get(a)?.get(b)
  if (known !== undefined) return known
  const names = differing(a, b)
  const ofFirst = compared.get(a) ?? new WeakMap()
  compared.set(a, ofFirst.set(b, names))
  return names
}

const noTable: Table = {}

/** Options as single values by path, remembered: each is compared with many others. */
const flattened = new WeakMap<object, ReadonlyMap<string, string>>()
const optionsOf = ({ options }: KeyParts): ReadonlyMap<string, string> => {
  const known = flattened.get(options as object)
  if (known !== undefined) return known
  const values = optionValues(options)
  flattened.set(options as object, values)
  return values
}

const differingOptions = (a: KeyParts, b: KeyParts): readonly string[] => {
  const [before, now] = [optionsOf(a), optionsOf(b)]
  return [...new Set([...now.keys(), ...before.keys()])].filter((name) => before.get(name) !== now.get(name))
}

/** Paths of today whose content is not what the unit read before; as in the key, the paths themselves do not count. */
const differingFiles = (before: KeyParts["read"], now: KeyParts["read"]): readonly string[] => {
  const contents = Object.values(before)
  const paths = Object.keys(now)
  return paths.length === contents.length
    ? paths.filter((path, index) => now[path] !== contents[index])
    : differing(before, now)
}

/**
 * The parts of two keys that differ. If the arithmetic differs, so does the code that computes it: it counts once.
 *
 * @param options those that differ
 */
const differenceOf = (before: KeyParts, now: KeyParts, options: readonly string[]): Difference => {
  const arithmetic = before.backend?.arithmetic !== now.backend?.arithmetic
  const of = (part: "sources" | "packages"): readonly string[] => {
    const own = differingShared(before[part], now[part])
    const backends = arithmetic ? [] : differingShared(before.backend?.[part], now.backend?.[part])
    return backends.length === 0 ? own : [...new Set([...own, ...backends])]
  }
  return {
    version: before.plugin.version !== now.plugin.version,
    options,
    read: differingFiles(before.read, now.read),
    sources: of("sources"),
    packages: of("packages"),
    arithmetic,
    inputs: [...differing(before.inputs, now.inputs), ...(before.watched === now.watched ? [] : ["watched"])],
  }
}

/** How many parts differ. The sources of a unit count once: one edit may change many. */
const distanceOf = ({ version, options, read, sources, packages, arithmetic, inputs }: Difference): number =>
  options.length +
  inputs.length +
  [version, read.length > 0, sources.length > 0, packages.length > 0, arithmetic].filter(Boolean).length

/** Longer values of options are cut off. */
const longestValue = 30

const andMore = ([first, ...others]: readonly string[], text: (name: string) => string): string =>
  `${text(first!)}${others.length === 0 ? "" : ` and ${others.length} more`}`

/** How much of what two values have in common is shown before the place where they differ. */
const shownBefore = 10

const cut = (value: string | undefined, from: number): string => {
  if (value === undefined) return "unset"
  const end = from + longestValue
  return `${from > 0 ? "…" : ""}${value.slice(from, end)}${value.length > end ? "…" : ""}`
}

/** Two different values; of long ones, the part in which they differ. */
const change = (before: string | undefined, now: string | undefined): string => {
  let same = 0
  while (before?.[same] !== undefined && before[same] === now?.[same]) same++
  const from = same < longestValue ? 0 : same - shownBefore
  return `${cut(before, from)} → ${cut(now, from)}`
}

/** Arithmetic is a backend, a precision unless that is the default, and perhaps a model: see `arithmeticOf`. */
const arithmeticReason = (before: string | undefined, now: string | undefined): string => {
  const [a, b] = [before, now].map((arithmetic) => {
    const [, backend = "none", precision = "fp32", model = "unknown"] =
      /^(\S+)(?: (\w+))?(?: \((.*)\))?$/.exec(arithmetic ?? "") ?? []
    return { backend, precision, model }
  })
  if (a!.backend !== b!.backend) return `backend ${a!.backend} → ${b!.backend}`
  if (a!.precision !== b!.precision) return `precision ${a!.precision} → ${b!.precision}`
  return `device ${a!.model} → ${b!.model}`
}

/** The shortest end of a path that no other has: `fisher/rank.ts`. */
const shortPath = (path: string, all: readonly string[]): string => {
  const parts = path.split("/")
  for (let from = parts.length - 1; from > 0; from--) {
    const end = parts.slice(from).join("/")
    if (all.every((other) => other === path || !other.endsWith(`/${end}`))) return end
  }
  return path
}

/** Versions as `packages.ts` gives them: `2.2.9 (dependencies 7489568e69c8)`. */
const packageReason = (name: string, before = "none", now = "none"): string => {
  const [a, b] = [before, now].map((version) => version.split(" ")[0])
  return a === b ? `dependencies of ${name} changed` : `package ${name} ${a} → ${b}`
}

const readReason = (path: string, now: string | undefined): string =>
  hubAddress(path) === null ? `file ${basename(path)} changed` : commitReason(path, now)

const sourceReason = (before: Table, now: Table) => (path: string) => {
  const how = before[path] === undefined ? "added" : now[path] === undefined ? "removed" : "changed"
  return `source ${shortPath(path, Object.keys(now))} ${how}`
}

/** That a unit was accepted after changes of these sources and packages. */
export const acceptedReason = (changed: readonly string[], { backend, sources }: KeyParts): string =>
  changed.length === 0
    ? "accepted with its inputs"
    : andMore(
        changed,
        (name) => `accepted ${shortPath(name, Object.keys({ ...backend?.sources, ...sources }))}`,
      )

/** The change that made a unit's key: what is the unit's own before what it takes. */
const reasonFrom = (
  unit: Unit,
  before: KeyParts,
  { version, options, read, sources, packages, arithmetic, inputs }: Difference,
  isNew: (unit: Unit) => boolean,
): string => {
  const now = unit.parts
  if (options.length > 0) {
    const [a, b] = [optionsOf(before), optionsOf(now)]
    return andMore(options, (name) => `option ${name} ${change(a.get(name), b.get(name))}`)
  }
  if (read.length > 0) return andMore(read, (path) => readReason(path, now.read[path]))
  if (sources.length > 0) {
    const tables = [before, now].map(({ backend, sources }) => ({ ...backend?.sources, ...sources }))
    return andMore(sources, sourceReason(tables[0]!, tables[1]!))
  }
  if (version) return `version ${before.plugin.version} → ${now.plugin.version}`
  if (packages.length > 0) {
    const [a, b] = [before, now].map(({ backend, packages }) => ({ ...backend?.packages, ...packages }))
    return andMore(packages, (name) => packageReason(name, a![name], b![name]))
  }
  if (arithmetic) return arithmeticReason(before.backend?.arithmetic, now.backend?.arithmetic)
  const [input] = inputs
  if (input === undefined) return neverMade
  const name = input === "watched" ? unit.plugin.watches! : input
  const given = input === "watched" ? [unit.watched!] : unit.inputs[input] && unitsOf(unit.inputs[input])
  if (given === undefined) return `input ${name} removed`
  const made = given.filter(isNew).length
  if (made === 0) return `input ${name} changed`
  return given.length === 1 ? `input ${name} is new` : `input ${name}: ${made} of ${given.length} are new`
}

/** Entries that differ in nothing but their age: made for the same label with the same options. */
interface Generations {
  readonly plugin: string
  readonly label: string
  readonly seed: string
  readonly options: string
  readonly entries: readonly Entry[]
  taken: boolean
}

const seedOf = (label: string, options: unknown): string => {
  const own = (options as { readonly seed?: unknown }).seed
  return / seed=(\S+)$/.exec(label)?.[1] ?? (own === undefined ? "" : String(own))
}

const separator = "\0"

/** How an entry and a unit are found to be the same thing, before and after a change. */
interface Round {
  /** What they have in common. */
  readonly by: (of: Pick<Generations, "label" | "seed" | "options">) => string
  /** Whether what the entry was made from has to be the predecessor of what the unit takes. */
  readonly succeeding: boolean
  /** How many options may differ. */
  readonly changes: number
}

const rounds: readonly Round[] = [
  { by: ({ label, options }) => label + separator + options, succeeding: false, changes: 0 },
  { by: ({ seed, options }) => seed + separator + options, succeeding: true, changes: 0 },
  { by: ({ label }) => label, succeeding: true, changes: Number.POSITIVE_INFINITY },
  { by: ({ seed }) => seed, succeeding: true, changes: 2 },
]

/** An entry that a unit may replace. */
interface Near {
  readonly generations: Generations
  readonly entry: Entry
  readonly difference: Difference
  readonly distance: number
}

/** With how many a unit is compared in a round. A large grid that replaces another is paired in its order beyond that. */
const mostTried = 64

/**
 * The reasons for units that the store does not have.
 *
 * @param units all units of the graph, each after its inputs
 * @param absent those of them to explain
 * @param recordOf what the store has for a unit, if it has it
 * @param entries of the plugins of the absent units, but for what it has for the units; newest first
 */
export const reasonsOf = (
  units: readonly Unit[],
  absent: ReadonlySet<Unit>,
  recordOf: (unit: Unit) => Entry["record"] | undefined,
  entries: readonly Entry[],
): ReadonlyMap<Unit, string> => {
  const keysOf = (unit: Unit): readonly string[] => {
    const record = recordOf(unit)
    return record === undefined ? [] : keysOfRecord(record)
  }
  const byPlugin = Map.groupBy(replaceable(units, recordOf, entries), ({ plugin }) => plugin)

  /**
   * The keys of what units replace: those that they had before, as far as is known. A run that only its probes needed is
   * not in the store, but its key is in what the probes observed.
   */
  const replaced = new Map<Unit, ReadonlySet<string>>()
  const hadKey = (unit: Unit, key: string): boolean =>
    unit.key === key || keysOf(unit).includes(key) || replaced.get(unit)?.has(key) === true
  const earlierKeys = (generations: Generations) =>
    new Set(generations.entries.map(({ record: { key } }) => key))
  const succeeds = (unit: Unit, { parts: { inputs, watched } }: Entry): boolean =>
    Object.entries(unit.inputs).every(([name, input]) => {
      const key = inputs[name]
      return "cohorts" in input || (typeof key === "string" && hadKey(input.one, key))
    }) &&
    (unit.watched === null || (watched !== null && hadKey(unit.watched, watched)))

  const reasons = new Map<Unit, string>()
  // What a unit takes has to be explained first, so that it is known what it replaces.
  const layers = Map.groupBy(
    units.filter((unit) => absent.has(unit)),
    depthsOf(units),
  )
  for (const [, layer] of [...layers].sort(([a], [b]) => a - b)) {
    for (const [plugin, wanted] of Map.groupBy(layer, (unit) => unit.plugin.name)) {
      const known = byPlugin.get(plugin)
      if (known === undefined) {
        for (const unit of wanted) reasons.set(unit, neverMade)
        continue
      }
      const open = new Map(
        wanted.map((unit) => [
          unit,
          {
            label: unit.label,
            seed: seedOf(unit.label, unit.options),
            options: canonicalJson(unit.options),
          },
        ]),
      )
      for (const { by, succeeding, changes } of rounds) {
        if (open.size === 0) break
        const candidates = Map.groupBy(known, by)
        for (const [unit, told] of open) {
          let nearest: Near | undefined
          let tried = 0
          for (const generations of candidates.get(by(told)) ?? []) {
            if (generations.taken) continue
            if (++tried > mostTried) break
            for (const entry of generations.entries) {
              if (succeeding && !succeeds(unit, entry)) continue
              const isSame = generations.options === told.options
              const options = isSame ? [] : differingOptions(entry.parts, unit.parts)
              if (changes < options.length) break
              const difference = differenceOf(entry.parts, unit.parts, options)
              const distance = distanceOf(difference)
              if (nearest === undefined || distance < nearest.distance)
                nearest = { generations, entry, difference, distance }
            }
          }
          if (nearest === undefined) continue
          const { generations, entry, difference } = nearest
          generations.taken = true
          open.delete(unit)
          replaced.set(unit, earlierKeys(generations))
          const reason = reasonFrom(unit, entry.parts, difference, (input) => absent.has(input))
          reasons.set(unit, reason)
        }
      }
      for (const unit of open.keys()) reasons.set(unit, neverMade)
    }
  }
  return reasons
}

const collator = new Intl.Collator("en", { numeric: true })

/** The entries that units may replace: those of which the store has no other generation for one of them. */
const replaceable = (
  units: readonly Unit[],
  recordOf: (unit: Unit) => Entry["record"] | undefined,
  entries: readonly Entry[],
): Generations[] => {
  if (entries.length === 0) return []
  const kindOf = ({ plugin, label, options }: Entry["record"]) =>
    [plugin, label, canonicalJson(options)].join(separator)
  const plugins = new Set(entries.map(({ record }) => record.plugin))
  const present = units.flatMap((unit) => recordOf(unit) ?? [])
  const keys = new Set(present.flatMap(keysOfRecord))
  const taken = new Set(present.filter(({ plugin }) => plugins.has(plugin)).map(kindOf))
  return (
    [...Map.groupBy(entries, ({ record }) => kindOf(record))]
      .filter(([kind, same]) => !taken.has(kind) && !same.some(({ record }) => keys.has(record.key)))
      .map(([, same]): Generations => {
        const { plugin, label, options } = same[0]!.record
        return {
          plugin,
          label,
          seed: seedOf(label, options),
          options: canonicalJson(options),
          entries: same,
          taken: false,
        }
      })
      // If several are as close, those of a grid are paired in its order.
      .sort((a, b) => collator.compare(a.label, b.label))
  )
}

/** The number of units between a unit and the data that it starts from. */
const depthsOf = (units: readonly Unit[]): ((unit: Unit) => number) => {
  const depths = new Map<Unit, number>()
  for (const unit of units) {
    const needed = [...inputsOf(unit), ...(unit.watched === null ? [] : [unit.watched])]
    depths.set(
      unit,
      needed.reduce((depth, input) => Math.max(depth, depths.get(input)! + 1), 0),
    )
  }
  return (unit) => depths.get(unit)!
}
