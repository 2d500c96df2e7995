import { createHash } from "node:crypto"
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs"
import { join } from "node:path"
import { Context, Effect } from "effect"
import { describeRepository, hubAddress, type Repository } from "../hub/address.ts"
import { commitInKey } from "../hub/revision.ts"
import { InvalidInput } from "../io/decode.ts"
import { FileError, fileError } from "../io/files.ts"
import { cacheDigest, cachedDigest, stampOf } from "./digest-cache.ts"

/** The digests of larger files (bytes), such as weights, are cached: 1 GB takes a second. */
const cachedFrom = 2 ** 26
/** How much is read at a time, bytes. */
const pieceBytes = 2 ** 22

/** Told how much of a large file has been read, in bytes. */
export type Reading = (path: string, done: number, total: number) => void

/** Who is told while files are read to make keys; by default nobody. */
export const LargeFileReading = Context.Reference<Reading>("kasosei/core/LargeFileReading", {
  defaultValue: () => () => {},
})

const digests = new Map<string, string>()

/**
 * A digest of the content of a file, or of a folder with everything in it. Each path is read once per process, and a
 * file of more than 64 MiB once until it changes. A repository on the hub is identified by its commit.
 *
 * @throws FileError naming the file that cannot be read, even inside a folder
 */
export const contentDigest = (path: string, reading?: Reading): string => {
  const address = hubAddress(path)
  if (address !== null) return commitOf(address.repository)
  const known = digests.get(path)
  if (known !== undefined) return known
  const digest = freshDigest(path, reading)
  digests.set(path, digest)
  return digest
}

const commitOf = (repository: Repository): string => {
  try {
    return commitInKey(repository)
  } catch (cause) {
    const path = describeRepository(repository)
    throw cause instanceof InvalidInput
      ? new FileError({ path, doing: "find the cache for", found: cause.message })
      : fileError("find the cache for", path, cause)
  }
}

/**
 * The first of some paths whose content is no longer what `contentDigest` found; undefined if all are as they were.
 *
 * @throws FileError if one cannot be read
 */
export const editedPath = (
  found: Readonly<Record<string, string>>,
): Effect.Effect<string | undefined, FileError> =>
  Effect.try({
    try: () =>
      Object.entries(found).find(
        // A commit does not change.
        ([path, digest]) => hubAddress(path) === null && freshDigest(path) !== digest,
      )?.[0],
    catch: (cause) => cause as FileError,
  })

const freshDigest = (path: string, reading?: Reading): string => {
  const hash = createHash("sha256")
  const addContent = (path: string): void => {
    try {
      const stat = statSync(path)
      if (stat.isDirectory()) {
        for (const name of readdirSync(path).sort()) {
          hash.update(`${name}\0`)
          addContent(join(path, name))
        }
        // Otherwise the file a/b would be an empty folder a and a file b.
        hash.update("/")
      } else if (stat.isFile()) hash.update(fileDigest(path, reading))
      else {
        // A pipe or a device can be read only once, but its content is read here and again by the plugin.
        const found = "expected a file or a folder, found a pipe or a device"
        throw new FileError({ path, doing: "read", found, advice: "Save its output to a file first" })
      }
    } catch (cause) {
      throw fileError("read", path, cause)
    }
  }
  addContent(path)
  return hash.digest("hex")
}

const fileDigest = (path: string, reading: Reading = () => {}): string => {
  const file = openSync(path, "r")
  try {
    const stat = fstatSync(file, { bigint: true })
    const size = Number(stat.size)
    const stamp = size > cachedFrom ? stampOf(stat) : undefined
    const cached = stamp === undefined ? undefined : cachedDigest(path, stamp)
    if (cached !== undefined) return cached
    const hash = createHash("sha256")
    const buffer = Buffer.alloc(Math.max(1, Math.min(size, pieceBytes)))
    let done = 0
    for (let count = -1; count !== 0; done += count) {
      count = readSync(file, buffer, 0, buffer.length, done)
      hash.update(buffer.subarray(0, count))
      if (size > cachedFrom) reading(path, done + count, size)
    }
    const digest = hash.digest("hex")
    // A file that was written meanwhile has a digest of no version.
    if (stamp !== undefined && stampOf(fstatSync(file, { bigint: true })) === stamp)
      cacheDigest(path, stamp, digest)
    return digest
  } finally {
    closeSync(file)
  }
}
