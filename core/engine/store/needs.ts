/** What keeps the artifacts of a store alive: the reports and unfinished launches that need them, directly or not. */
import { basename, relative } from "node:path"
import { Effect, Result } from "effect"
import type { FileError } from "../../io/files.ts"
import { type Launch, launchesIn, readLaunch } from "../launch.ts"
import { type Report, readReport, reportFolders } from "../publish.ts"
import type { Damaged, Item } from "./inventory.ts"
import { folderName, partsOfName } from "./record.ts"

export interface Needs {
  /**
   * The reports that need an artifact, by the name of its folder: `quickstart/0123456789ab`. Also the unfinished
   * launches, `launches/…`.
   */
  readonly by: ReadonlyMap<string, readonly string[]>
  /** All launches. */
  readonly launches: readonly Launched[]
  /** Why it is not known what else is needed: what cannot be read. */
  readonly unknown: readonly string[]
}

/** A launch, as far as it is known what it keeps alive. */
export interface Launched {
  readonly id: string
  /** Whether all that it was to make is there and published, or its report is another launch's by now. */
  readonly isOver: boolean
  /** The names that the artifacts of its units have, or would have. */
  readonly names: readonly string[]
  /** Of the folder with its code, if that was copied. */
  readonly code: string | undefined
}

/**
 * What reports and unfinished launches need: all units of the launch that published a report or, if that is unknown, what
 * follows from the report by the inputs that records name; of an artifact that was set aside, too: it is made again from
 * these.
 */
export const needsOf = Effect.fnUntraced(function* (
  root: string,
  items: readonly Item[],
  damaged: readonly Damaged[],
): Effect.fn.Return<Needs, FileError> {
  const present = new Map(items.map((item) => [digitsOf(item.name), item]))
  // Of several, one whose record can be read.
  const legible = damaged.toSorted((a, b) => Number(a.inputs !== undefined) - Number(b.inputs !== undefined))
  const aside = new Map(legible.map((each) => [digitsOf(each.name), each]))
  const by = new Map<string, string[]>()
  const blind = new Set<string>()
  const isThere = (key: string) => (present.get(digitsOfKey(key))?.state ?? "failed") !== "failed"
  const { roots, launches, unknown } = yield* rootsIn(root, isThere)
  for (const { name, keys: named, isWhole } of roots) {
    const keys = new Set(named.map(digitsOfKey))
    // A set is walked in the order of insertion, what is inserted meanwhile included.
    for (const key of keys) {
      const from = present.get(key) ?? aside.get(key)
      // It was not kept, or has failed before anything was recorded.
      if (from === undefined) continue
      const needing = by.get(from.name)
      if (needing === undefined) by.set(from.name, [name])
      else needing.push(name)
      for (const input of from.inputs ?? []) keys.add(digitsOfKey(input))
      if (from.inputs === undefined && !isWhole) blind.add(from.name)
    }
  }
  return {
    by,
    launches,
    unknown: [...unknown, ...[...blind].map((name) => `${name}, which is needed, cannot be read`)],
  }
})

/** Something that needs units. */
interface Root {
  readonly name: string
  readonly keys: readonly string[]
  /** Whether these are all that it needs, with what they are made from. */
  readonly isWhole: boolean
}

/** @param isThere whether a unit has an artifact, or has diverged */
const rootsIn = Effect.fnUntraced(function* (root: string, isThere: (key: string) => boolean) {
  const roots: Root[] = []
  const launches: Launched[] = []
  const unknown: string[] = []
  const reports = new Map<string, Report>()
  for (const folder of yield* reportFolders(root)) {
    const read = yield* Effect.result(readReport(folder))
    if (Result.isFailure(read)) unknown.push(read.failure.message)
    else reports.set(relative(root, folder), read.success)
  }
  const launched = new Set<string>()
  for (const id of yield* launchesIn(root)) {
    const read = yield* Effect.result(readLaunch(root, id))
    if (Result.isFailure(read)) {
      unknown.push(read.failure.message)
      continue
    }
    const { report, made, units, jobs, code } = read.success
    const keys = units.map(({ key }) => key)
    // The last launch for a report says what is left to do for it.
    const isOver =
      launched.has(report) ||
      ((reports.get(report)?.made ?? "") >= made && givenBy(jobs).every((index) => isThere(keys[index]!)))
    launched.add(report)
    launches.push({
      id,
      isOver,
      names: units.map(({ plugin, key }) => folderName(plugin, key)),
      code: code.copied && basename(code.copied.to),
    })
    if (!isOver) roots.push({ name: `launches/${id}`, keys, isWhole: true })
    const published = reports.get(report)
    if (published === undefined) continue
    const all = new Set(keys)
    if (!keysOf(published).every((key) => all.has(key))) continue
    roots.push({ name: report, keys, isWhole: true })
    reports.delete(report)
  }
  for (const [name, report] of reports) roots.push({ name, keys: keysOf(report), isWhole: false })
  return { roots, launches, unknown }
})

const keysOf = ({ targets }: Report): readonly string[] => Object.values(targets).flat()

/** The places of the units that jobs make, and keep. */
const givenBy = (jobs: Launch["jobs"]): readonly number[] =>
  jobs.flatMap(({ unit, wanted, observers }) => (wanted ? [unit, ...observers] : observers))

/** What folders have of a key in their names. */
const digitsOfKey = (key: string): string => partsOfName(folderName("any", key))?.key ?? key
const digitsOf = (name: string): string => partsOfName(name)?.key ?? name
