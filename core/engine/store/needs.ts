/** What keeps the artifacts of a store alive: the reports and unfinished launches that need them, directly or not. */
import { basename, relative } from "node:path"
import { Effect, Result } from "effect"
import type { FileError } from "../../io/files.ts"
import { launchesIn, readLaunch } from "../launch.ts"
import { readReport, reportFolders } from "../publish.ts"
import type { Damaged, Item } from "./inventory.ts"
import { folderName, partsOfName } from "./record.ts"

export interface Needs {
  /**
   * The reports that need an artifact, by the name of its folder: `quickstart/0123456789ab`. Also the launches,
   * `launches/…`, whose report has not been published since.
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
  /** Whether its report has been published since, or is another launch's by now. */
  readonly isOver: boolean
  /** The names that the artifacts of its units have, or would have. */
  readonly names: readonly string[]
  /** Of the folder with its code, if that was copied. */
  readonly code: string | undefined
}

/**
 * Follows what reports and launches name by the inputs that records name; of an artifact that was set aside, too: it is
 * made again from these.
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
  const { roots, launches, unknown } = yield* rootsIn(root)
  for (const { name, keys: named } of roots) {
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
      if (from.inputs === undefined) blind.add(from.name)
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
}

const rootsIn = Effect.fnUntraced(function* (root: string) {
  const roots: Root[] = []
  const launches: Launched[] = []
  const unknown: string[] = []
  /** When each report was published. */
  const published = new Map<string, string>()
  for (const folder of yield* reportFolders(root)) {
    const name = relative(root, folder)
    const read = yield* Effect.result(readReport(folder))
    if (Result.isFailure(read)) unknown.push(read.failure.message)
    else {
      roots.push({ name, keys: Object.values(read.success.targets).flat() })
      published.set(name, read.success.made)
    }
  }
  const launched = new Set<string>()
  for (const id of yield* launchesIn(root)) {
    const read = yield* Effect.result(readLaunch(root, id))
    if (Result.isFailure(read)) {
      unknown.push(read.failure.message)
      continue
    }
    const { report, made, units, code } = read.success
    // The last launch for a report says what is left to do for it.
    const isOver = launched.has(report) || (published.get(report) ?? "") >= made
    launched.add(report)
    launches.push({
      id,
      isOver,
      names: units.map(({ plugin, key }) => folderName(plugin, key)),
      code: code.copied && basename(code.copied.to),
    })
    if (!isOver) roots.push({ name: `launches/${id}`, keys: units.map(({ key }) => key) })
  }
  return { roots, launches, unknown }
})

/** What folders have of a key in their names. */
const digitsOfKey = (key: string): string => partsOfName(folderName("any", key))?.key ?? key
const digitsOf = (name: string): string => partsOfName(name)?.key ?? name
