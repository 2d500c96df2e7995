/** Replaces what was published in a folder, file by file, and leaves alone what a user put there. */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import { dirname, join } from "node:path"
import { sha256 } from "../../io/digest.ts"
import { FileError } from "../../io/files.ts"
import { flushFolder, writeFlushed } from "../../io/flush.ts"
import {
  at,
  digestAt,
  discard,
  foldersTo,
  makeFolder,
  moveAway,
  removeIn,
  spareName,
  standingIn,
} from "./place.ts"

/** A file to publish, by its path in the folder. */
export type Source = { readonly path: string } & (
  | { readonly content: string }
  /** Where it is to be copied from. */
  | { readonly from: string }
)

/** SHA-256 by path. */
type Digests = Readonly<Record<string, string>>

export interface Replacement {
  readonly folder: string
  readonly sources: readonly Source[]
  /** Files of an earlier publication that stay as they are. */
  readonly kept: Digests
  /** The digests that earlier publications gave each file; several if one was cut off. */
  readonly known: ReadonlyMap<string, ReadonlySet<string>>
  /** Folders of {@link stageName} that publications left which were cut off. */
  readonly leftovers: readonly string[]
  /** The file that lists all others, from which `known` was read. */
  readonly record: {
    readonly name: string
    /** Whether it was there but could not be read, so that `known` lacks what it had. */
    readonly isDamaged: boolean
    readonly textOf: (files: Digests) => string
  }
}

/** The folder in which files are complete before they are renamed. */
const stageName = (): string => `publishing.${randomBytes(4).toString("hex")}.tmp`
export const isStageName = (name: string): boolean => /^publishing\.[0-9a-f]{8}\.tmp$/.test(name)

/**
 * Writes all files beside, then renames them, the record last; what was published before and is no longer wanted is
 * removed. If it is refused or the disk is full, nothing has changed.
 *
 * @returns notes for a person: what was left or set aside because its content is not what was published
 * @throws FileError
 */
export const replaceFiles = async (replacement: Replacement): Promise<readonly string[]> => {
  const { folder, sources, kept, leftovers, record } = replacement
  const digests: Record<string, string> = { ...kept }
  for (const source of sources)
    digests[source.path] = "content" in source ? sha256(source.content) : await digestAt(source.from)
  const placed = await placedIn(replacement, digests)
  const stage = join(folder, stageName())
  const journal = join(stage, record.name)
  try {
    await writeBeside(folder, stage, placed)
    await at("write", journal, () => writeFlushed(journal, record.textOf(digests)))
    await flushFolder(stage)
  } catch (cause) {
    await discard(stage)
    throw cause
  }
  // From here on, what is cut off is known from the journal.
  const notes = await putInPlace(replacement, stage, placed, digests)
  await at("write", join(folder, record.name), () => fs.rename(journal, join(folder, record.name)))
  await flushFolder(folder)
  for (const each of [stage, ...leftovers]) await discard(each)
  return notes
}

/** A file that is to be written, and whether another is set aside for it. */
interface Placed {
  readonly source: Source
  readonly placing: "write" | "set aside"
}

/**
 * The files that are not yet as they are to be.
 *
 * @throws FileError if something else is in the place of one
 */
const placedIn = async (replacement: Replacement, digests: Digests): Promise<readonly Placed[]> => {
  const placed: Placed[] = []
  const foreign: { readonly path: string; readonly standsThere: string }[] = []
  for (const source of replacement.sources) {
    const placing = await placingOf(replacement, source.path, digests[source.path]!)
    if (typeof placing !== "string") foreign.push({ path: join(replacement.folder, source.path), ...placing })
    else if (placing !== "keep") placed.push({ source, placing })
  }
  const [first, ...others] = foreign
  if (first === undefined) return placed
  const more = others.length === 0 ? "" : ` (and ${others.length} more like this)`
  const found = `there is ${first.standsThere}${more}`
  throw new FileError({ path: first.path, doing: "write", found, advice: moveAway })
}

/** Writes files completely into a folder of their own, and makes the folders that they will be in. */
const writeBeside = async (folder: string, stage: string, placed: readonly Placed[]): Promise<void> => {
  await at("make", stage, () => fs.mkdir(stage))
  for (const { source } of placed) {
    const path = join(stage, source.path)
    await at("make", dirname(path), () => fs.mkdir(dirname(path), { recursive: true }))
    const content =
      "content" in source ? source.content : await at("read", source.from, () => fs.readFile(source.from))
    await at("write", path, () => writeFlushed(path, content))
  }
  for (const { source } of placed) for (const each of foldersTo(folder, source.path)) await makeFolder(each)
}

/** Renames what was written beside, and removes what is no longer wanted. */
const putInPlace = async (
  { folder, known, record }: Replacement,
  stage: string,
  placed: readonly Placed[],
  digests: Digests,
): Promise<readonly string[]> => {
  const notes: string[] = []
  const setAside = async (path: string, why: string) => {
    const spare = await spareName(path, why)
    await at("rename", path, () => fs.rename(path, spare))
    notes.push(`${path} was ${why} since it was published: kept as ${spare}`)
  }
  const changed = new Set([folder])
  for (const { source, placing } of placed) {
    const path = join(folder, source.path)
    if (placing === "set aside") await setAside(path, "changed")
    await at("write", path, () => fs.rename(join(stage, source.path), path))
    changed.add(dirname(path))
  }
  // Where capitals are not told from small letters, these are the names of the same file.
  const wanted = new Set(Object.keys(digests).map((path) => path.toLowerCase()))
  for (const [path, before] of known) {
    if (wanted.has(path.toLowerCase())) continue
    const file = join(folder, path)
    const found = await standingIn(folder, path).catch(() => "nothing")
    if (found === "nothing") continue
    if (found === "file" && before.has(await digestAt(file))) await removeIn(folder, path)
    else notes.push(`${file} was changed since it was published: left, though the report no longer has it`)
  }
  if (record.isDamaged) await setAside(join(folder, record.name), "damaged")
  for (const each of changed) await flushFolder(each)
  return notes
}

/** What to do with what is where a file belongs. */
type Placing = "keep" | "write" | "set aside" | { readonly standsThere: string }

const placingOf = async (
  { folder, known, record }: Replacement,
  path: string,
  digest: string,
): Promise<Placing> => {
  const found = await standingIn(folder, path)
  if (found === "nothing") return "write"
  if (found !== "file") return { standsThere: `a ${found}` }
  const present = await digestAt(join(folder, path))
  if (present === digest) return "keep"
  if (known.get(path)?.has(present)) return "write"
  return known.has(path) || record.isDamaged
    ? "set aside"
    : { standsThere: "a file that was not published from here" }
}
