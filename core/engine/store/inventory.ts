/** Everything that a store holds, in short: what `kasosei store` lists, cleans up and exports. */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { attempt, type FileError, listNames } from "../../io/files.ts"
import { codeFile } from "./codes.ts"
import type { Divergence, Failed, Manifest } from "./manifest.ts"
import { type Found, inspect, partsOfName } from "./record.ts"

/** What is known of an artifact. `extra`: it is whole, but files are there that are not its own. */
export type ItemState = Exclude<Found["status"], "absent"> | "extra"

/** An artifact, a divergence or a failure. */
export interface Item {
  /** Of its folder. */
  readonly name: string
  readonly plugin: string
  /** As many of its digits as are known. */
  readonly key: string
  /** The folder's name if the record cannot be read. */
  readonly label: string
  readonly state: ItemState
  /** What is damaged, or why it failed or diverged. */
  readonly note: string | undefined
  /** Of its files; 0 if the record cannot be read. */
  readonly bytes: number
  readonly files: number
  /** When it was made or, if it was accepted later, its folder, ms since 1970. */
  readonly made: number
  /** The keys of what it was made from; undefined if the record cannot be read. */
  readonly inputs: readonly string[] | undefined
  /** The files of `sources` that it names. */
  readonly codes: readonly string[]
}

/** All folders of `artifacts` that have the name of one, in the order of their labels. */
export const inventory = Effect.fnUntraced(function* (
  root: string,
): Effect.fn.Return<readonly Item[], FileError> {
  const folder = join(root, "artifacts")
  const names = yield* listNames(folder)
  const items = yield* Effect.forEach(
    names.filter((name) => partsOfName(name) !== undefined),
    (name) => attempt("read", join(folder, name), () => itemIn(folder, name)),
    { concurrency: 64 },
  )
  return items
    .filter((item) => item !== undefined)
    .sort((a, b) => (a.label === b.label ? (a.name < b.name ? -1 : 1) : a.label < b.label ? -1 : 1))
})

/** What was set aside of an artifact that had this name. */
export interface Damaged {
  readonly folder: string
  /** The name that the artifact had, or `sources`. */
  readonly name: string
  /** Undefined if the record cannot be read. */
  readonly inputs: readonly string[] | undefined
}

/** All that was set aside. */
export const damagedIn = Effect.fnUntraced(function* (
  root: string,
): Effect.fn.Return<readonly Damaged[], FileError> {
  const folder = join(root, "damaged")
  return yield* Effect.forEach(
    yield* listNames(folder),
    (name) =>
      attempt("read", join(folder, name), async (): Promise<Damaged> => {
        const original = /^(.+)-\d{4}-\d\d-\d\dT[\d.-]+Z(?:-\d+)?$/.exec(name)?.[1] ?? name
        const found = await inspect(join(folder, name), original)
        return { folder: name, name: original, inputs: inputsOf(found) }
      }),
    { concurrency: 16 },
  )
})

const itemIn = async (folder: string, name: string): Promise<Item | undefined> => {
  const found = await inspect(join(folder, name))
  if (found.status === "absent") return undefined
  const record = "record" in found ? found.record : undefined
  const { plugin, key } = partsOfName(name)!
  const { mtimeMs } = await fs.stat(join(folder, name))
  return {
    name,
    plugin,
    key: record?.key ?? key,
    label: record?.label ?? name,
    state: found.status === "done" && found.extra.length > 0 ? "extra" : found.status,
    note: noteOf(found),
    bytes: filesOf(record).reduce((sum, { bytes }) => sum + bytes, 0),
    files: filesOf(record).length,
    made: Math.max(mtimeMs, record === undefined ? 0 : Date.parse(record.made) || 0),
    inputs: inputsOf(found),
    codes: record === undefined || !("parts" in record) ? [] : codesOf(record),
  }
}

const noteOf = (found: Found): string | undefined => {
  if (found.status === "damaged") return found.what
  if (found.status === "diverged" || found.status === "failed") return found.record.reason
  return found.status === "done" && found.extra.length > 0 ? `also ${found.extra.join(", ")}` : undefined
}

const filesOf = (record: Manifest | Divergence | Failed | undefined): Manifest["files"] =>
  record !== undefined && "files" in record ? record.files : []

const inputsOf = (found: Found): readonly string[] | undefined =>
  "record" in found ? found.record?.inputs.map(({ key }) => key) : undefined

const codesOf = ({ parts: { code, backend } }: Manifest | Divergence): readonly string[] =>
  [code, ...(backend === null ? [] : [backend.code])].map(codeFile)
