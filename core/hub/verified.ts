/**
 * Whether a cached file has the content that its etag promises. The cache's layout says nothing about files but their
 * etag, so what was found is remembered in our own folder, until the file changes:
 *
 * ```
 * ~/.cache/kasosei/hub/<digest of the path>.json
 * ```
 */
import { createHash, type Hash } from "node:crypto"
import type { BigIntStats } from "node:fs"
import * as fs from "node:fs/promises"
import { basename, join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { Progress } from "../api/progress.ts"
import { userCacheFolder } from "../io/cache-folder.ts"
import { sha256 } from "../io/digest.ts"
import { attempt, type FileError, readJson, writeJson } from "../io/files.ts"

const Found = type({
  "+": "reject",
  path: "string",
  /** Without it, nothing is known about the content of a file that is not a link to a blob. */
  etag: "string",
  /** Of the file that had this content. */
  stamp: "string",
  /** When it was looked at, ms since 1970. */
  at: "number.integer",
})

const largestRecord = 8192
/** How much is read at a time, bytes. */
const pieceBytes = 2 ** 22
/** Larger files take long enough to say that they are read, bytes. */
const toldFrom = 2 ** 26
/** A file system may count the times of changes in steps of up to this, ms. */
const coarsestTime = 2000

const recordOf = (path: string): string => join(userCacheFolder(), "hub", `${sha256(path).slice(0, 32)}.json`)

/** Without the time of the last change of its inode, since each hard link to it is one. */
const stampOf = ({ dev, ino, size, mtimeNs }: BigIntStats): string => [dev, ino, size, mtimeNs].join(" ")

const statOf = (path: string) => attempt("read", path, () => fs.stat(path, { bigint: true }))

const record = (path: string, etag: string, stat: BigIntStats) =>
  Effect.ignore(writeJson(recordOf(path), { path, etag, stamp: stampOf(stat), at: Date.now() }))

/**
 * Remembers that a file has the content of this etag. Without a writable folder, nothing is remembered.
 *
 * @param path without symbolic links
 */
export const remember = (path: string, etag: string): Effect.Effect<void> =>
  Effect.ignore(Effect.flatMap(statOf(path), (stat) => record(path, etag, stat)))

/** The etag that a file had when it was last looked at. */
export const rememberedEtag = (path: string): Effect.Effect<string | undefined> =>
  readJson(recordOf(path), Found, largestRecord).pipe(
    Effect.map((found) => (found.path === path ? found.etag : undefined)),
    Effect.orElseSucceed(() => undefined),
  )

/**
 * What is wrong with the content of a file; null if nothing is. It is read unless it was before and has not changed
 * since. An etag of 64 hexadecimal digits is the content's SHA-256, one of 40 its git blob SHA-1; any other says
 * nothing about it.
 *
 * @param path without symbolic links
 */
export const contentProblem = Effect.fnUntraced(function* (
  path: string,
  etag: string,
  name = basename(path),
): Effect.fn.Return<string | null, FileError, Progress> {
  const before = yield* statOf(path)
  const found = yield* Effect.option(readJson(recordOf(path), Found, largestRecord))
  if (found._tag === "Some") {
    const { value } = found
    const same = value.path === path && value.etag === etag && value.stamp === stampOf(before)
    // A file that was written just before it was looked at may have been written again with the same times.
    if (same && value.at - Number(before.mtimeMs) > coarsestTime) return null
  }
  const problem = yield* digestProblem(path, etag, name)
  if (problem !== null) return problem
  // Else it was written to meanwhile.
  if (stampOf(yield* statOf(path)) === stampOf(before)) yield* record(path, etag, before)
  return null
})

/** The algorithm of the digest that an etag is; undefined if it is none. */
export const digestIn = (etag: string): "sha256" | "sha1" | undefined =>
  /^[0-9a-f]{64}$/.test(etag) ? "sha256" : /^[0-9a-f]{40}$/.test(etag) ? "sha1" : undefined

/** What is wrong with the content of a file, which is read; null if nothing is. */
export const digestProblem = Effect.fnUntraced(function* (path: string, etag: string, name: string) {
  const algorithm = digestIn(etag)
  if (algorithm === undefined) return null
  const size = Number((yield* statOf(path)).size)
  const hash = createHash(algorithm).update(algorithm === "sha1" ? `blob ${size}\0` : "")
  const digest = yield* digestOf(path, size, hash, name)
  return digest === etag
    ? null
    : `its content is not what was announced (expected ${algorithm} ${etag}, found ${digest})`
})

const digestOf = (path: string, size: number, hash: Hash, name: string) =>
  Effect.acquireUseRelease(
    attempt("read", path, () => fs.open(path, "r")),
    Effect.fnUntraced(function* (file) {
      const progress = yield* Progress
      const buffer = Buffer.alloc(Math.max(1, Math.min(size, pieceBytes)))
      for (let done = 0; ; ) {
        const { bytesRead } = yield* attempt("read", path, () => file.read(buffer, 0, buffer.length, done))
        if (bytesRead === 0) return hash.digest("hex")
        hash.update(buffer.subarray(0, bytesRead))
        done += bytesRead
        if (size >= toldFrom) yield* progress.report(done, size, `${name}: checking its content`)
      }
    }),
    (file) => Effect.promise(() => file.close().catch(() => undefined)),
  )
