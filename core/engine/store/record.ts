/** The folder of one artifact: what it has for its unit, and whether anything in it is damaged. */
import * as fs from "node:fs/promises"
import { basename, join } from "node:path"
import { digestFile } from "../../io/digest.ts"
import { errorCode, fileError, namesIn } from "../../io/files.ts"
import { Divergence, Failed, Manifest } from "./manifest.ts"
import { Broken, readSealed } from "./seal.ts"

/** What a folder of `artifacts` has. */
export type Found =
  /** `extra`: files that are not the artifact's; its own are whole. */
  | { readonly status: "done"; readonly record: Manifest; readonly extra: readonly string[] }
  | { readonly status: "diverged"; readonly record: Divergence }
  | { readonly status: "failed"; readonly record: Failed }
  /** `record` if what is damaged is not the manifest. */
  | { readonly status: "damaged"; readonly what: string; readonly record?: Manifest }
  /** Of a version of this program that recorded something else: it is made again. */
  | { readonly status: "earlier" }
  | { readonly status: "absent" }

/** The records that a folder may have, and the state of its unit. A folder has one of them. */
const records = [
  ["manifest.json", Manifest, "done"],
  ["divergence.json", Divergence, "diverged"],
  ["failure.json", Failed, "failed"],
] as const

/** The name of the folder for a unit's artifact. */
export const folderName = (plugin: string, key: string): string => `${plugin}-${key.slice(0, keyDigits)}`

/** The digits of a key in a folder's name. */
const keyDigits = 20

/** The plugin and the first digits of the key in a folder's name; undefined for any other name. */
export const partsOfName = (name: string): { readonly plugin: string; readonly key: string } | undefined => {
  const [, plugin, key] = /^(.+)-([0-9a-f]{20})$/.exec(name) ?? []
  return plugin === undefined || key === undefined ? undefined : { plugin, key }
}

/** What operating systems put into folders by themselves. */
const isOfSystem = (path: string): boolean =>
  /^(\.DS_Store|\._.*|\.nfs[0-9a-f]+|Thumbs\.db|desktop\.ini)$/.test(basename(path))

/**
 * Reads the record of a folder; of a finished artifact also the names and sizes of its files, but not their content.
 * Rejects with what `node:fs` throws if the folder may not be read.
 *
 * @param expected the name that the folder must have by its record
 */
export const inspect = async (folder: string, expected = basename(folder)): Promise<Found> => {
  for (let time = 1; ; time++) {
    try {
      return await inspectOnce(folder, expected)
    } catch (cause) {
      const code = errorCode(cause)
      // Another process has replaced it meanwhile.
      if (code === "ENOENT" && time < mostTimes) continue
      if (["EIO", "EISDIR", "ENOTDIR", "ENOENT"].includes(code)) {
        return { status: "damaged", what: fileError("read", folder, cause).found }
      }
      throw cause
    }
  }
}

const mostTimes = 5

const inspectOnce = async (folder: string, expected: string): Promise<Found> => {
  const names = await namesIn(folder)
  if (names.length === 0) return { status: "absent" }
  const present = records.filter(([name]) => names.includes(name))
  const [found] = present
  if (found === undefined) return { status: "damaged", what: `it has no ${records[0][0]}` }
  if (present.length > 1) {
    return { status: "damaged", what: `it has both ${present.map(([name]) => name).join(" and ")}` }
  }
  const [name, schema, status] = found
  const record = await readSealed(join(folder, name), schema)
  if (record instanceof Broken) {
    return record.earlier ? { status: "earlier" } : { status: "damaged", what: `${name}: ${record.what}` }
  }
  if (folderName(record.plugin, record.key) !== expected) {
    const other = folderName(record.plugin, record.key)
    return { status: "damaged", what: `${name}: it is of another unit, ${other}` }
  }
  const others = names.filter((each) => each !== name && !(each === "data" && "files" in record))
  return "files" in record
    ? withFiles(folder, record, others)
    : ({ status, record } as Extract<Found, { status: "diverged" | "failed" }>)
}

/** Compares the files that are there with those of the manifest, by name and size. */
const withFiles = async (folder: string, record: Manifest, others: readonly string[]): Promise<Found> => {
  const damaged = (what: string): Found => ({ status: "damaged", what, record })
  const data = join(folder, "data")
  const sizes = new Map(record.files.map(({ path, bytes }) => [path, bytes]))
  for (const path of sizes.keys()) if (!isInside(path)) return damaged(`${path} points outside its folder`)
  const there = await filesIn(data)
  const present = new Set(there)
  const extra = [...others, ...there.filter((path) => !sizes.has(path)).map((path) => `data/${path}`)]
  for (const [path, bytes] of sizes) {
    if (!present.has(path)) return damaged(`${path} is missing`)
    const { size } = await fs.lstat(join(data, path))
    if (size !== bytes) return damaged(`${path}: expected ${bytes} bytes, found ${size}`)
  }
  return { status: "done", record, extra: extra.filter((path) => !isOfSystem(path)) }
}

/** The paths of all that is no folder in a folder, with forward slashes; none if it does not exist. */
const filesIn = async (folder: string, prefix = ""): Promise<readonly string[]> => {
  try {
    const entries = await fs.readdir(folder, { withFileTypes: true })
    const found = entries.map((entry) => {
      const path = `${prefix}${entry.name}`
      return entry.isDirectory() ? filesIn(join(folder, entry.name), `${path}/`) : [path]
    })
    return (await Promise.all(found)).flat()
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return []
    throw cause
  }
}

const isInside = (path: string): boolean =>
  path.split("/").every((part) => part !== "" && part !== "." && part !== "..")

/**
 * Reads every file of an artifact, whose names and sizes are right.
 *
 * @returns the first whose content is not what was written; undefined if there is none
 */
export const changedFile = async (folder: string, { files }: Manifest): Promise<string | undefined> => {
  for (const { path, sha256 } of files) {
    try {
      if ((await digestFile(join(folder, "data", path))) === sha256) continue
    } catch (cause) {
      if (errorCode(cause) === "ENOENT") return `${path} is gone`
      throw cause
    }
    return `${path}: its content has changed since it was written (its SHA-256 differs)`
  }
  return undefined
}
