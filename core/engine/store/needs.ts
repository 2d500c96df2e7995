/** What keeps the artifacts of a store alive: the reports that are made from them, directly or not. */
import { relative } from "node:path"
import { Effect, Result } from "effect"
import type { FileError } from "../../io/files.ts"
import { readReport, reportFolders } from "../publish.ts"
import type { Damaged, Item } from "./inventory.ts"
import { folderName, partsOfName } from "./record.ts"

export interface Needs {
  /** The reports that need an artifact, by the name of its folder: `quickstart/0123456789ab`. */
  readonly reports: ReadonlyMap<string, readonly string[]>
  /** Why it is not known what else is needed: the reports and artifacts that cannot be read. */
  readonly unknown: readonly string[]
}

/**
 * Follows what reports are made from by the inputs that records name; of an artifact that was set aside, too: it is made
 * again from these.
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
  const reports = new Map<string, string[]>()
  const unknown: string[] = []
  const blind = new Set<string>()
  for (const folder of yield* reportFolders(root)) {
    const read = yield* Effect.result(readReport(folder))
    if (Result.isFailure(read)) {
      unknown.push(read.failure.message)
      continue
    }
    const report = relative(root, folder)
    const keys = new Set(Object.values(read.success.targets).flatMap((some) => some.map(digitsOfKey)))
    // A set is walked in the order of insertion, what is inserted meanwhile included.
    for (const key of keys) {
      const from = present.get(key) ?? aside.get(key)
      // It was not kept, or has failed before anything was recorded.
      if (from === undefined) continue
      reports.set(from.name, [...(reports.get(from.name) ?? []), report])
      for (const input of from.inputs ?? []) keys.add(digitsOfKey(input))
      if (from.inputs === undefined) blind.add(from.name)
    }
  }
  unknown.push(...[...blind].map((name) => `${name}, which a report needs, cannot be read`))
  return { reports, unknown }
})

/** What folders have of a key in their names. */
const digitsOfKey = (key: string): string => partsOfName(folderName("any", key))?.key ?? key
const digitsOf = (name: string): string => partsOfName(name)?.key ?? name
