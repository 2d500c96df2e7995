/** Digests of large files, kept in the user's cache folder until the files change. */
import { type BigIntStats, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { type } from "arktype"
import { userCacheFolder } from "../io/cache-folder.ts"
import { jsonFile } from "../io/package-manifest.ts"

const Entries = type({
  "[string]": { "+": "reject", stamp: "string", digest: "string == 64" },
})
type Entries = typeof Entries.infer

/** The files that were read last; the others are forgotten. */
const mostEntries = 1000

/**
 * A file that was written within this many milliseconds is not cached: it may be written once more without a change of
 * its times, which a file system may count in steps of up to two seconds.
 */
const settled = 5000

const cacheFile = () => join(userCacheFolder(), "content-digests.json")

/** A missing or damaged cache is empty. */
const entries = (): Entries => jsonFile<Entries>(cacheFile(), Entries) ?? {}

/**
 * What changes with the content of a file: which file it is, its size, and the times of its last changes in nanoseconds.
 * Undefined while it may still change without them.
 */
export const stampOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string | undefined => {
  const latest = Number((mtimeNs > ctimeNs ? mtimeNs : ctimeNs) / 1_000_000n)
  return Date.now() - latest < settled ? undefined : [dev, ino, size, mtimeNs, ctimeNs].join(" ")
}

/** The digest of a file that has this stamp. */
export const cachedDigest = (path: string, stamp: string): string | undefined => {
  const entry = entries()[resolve(path)]
  return entry?.stamp === stamp ? entry.digest : undefined
}

/** Remembers the digest of a file that has this stamp. Without a writable cache folder, nothing is remembered. */
export const cacheDigest = (path: string, stamp: string, digest: string): void => {
  const { [resolve(path)]: _, ...others } = entries()
  const kept = [...Object.entries(others), [resolve(path), { stamp, digest }] as const].slice(-mostEntries)
  const temporary = `${cacheFile()}.${process.pid}`
  try {
    mkdirSync(userCacheFolder(), { recursive: true })
    writeFileSync(temporary, JSON.stringify(Object.fromEntries(kept), null, 1))
    renameSync(temporary, cacheFile())
  } catch {
    if (existsSync(temporary)) rmSync(temporary)
  }
}
