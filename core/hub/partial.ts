/**
 * Partial downloads. Each download writes to a file of its own, so that two of the same file at once do not disturb
 * each other. One that ends early leaves its part to the next, which takes it over by renaming it.
 *
 * ```
 * .NAME.<etag>.<random>.active     being written
 * .NAME.<etag>.<random>.partial    left by a download that was stopped
 * ```
 */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { Effect } from "effect"
import { sha256 } from "../io/digest.ts"
import { attempt, type FileError, remove } from "../io/files.ts"

const versionAndState = /^[0-9a-f]{16}\.[0-9a-f]{8}\.(active|partial)$/

/** A download that has written nothing for this many milliseconds was killed: a live one times out long before. */
const abandonedAfter = 3 * 60 * 1000

/**
 * The path of a part of `target`, new or taken over, for this process alone. Parts of other versions are removed.
 *
 * @param etag identifies this version of the file
 */
export const claimPartial = (target: string, etag: string): Effect.Effect<string, FileError> =>
  attempt("make", dirname(target), async () => {
    const folder = dirname(target)
    await fs.mkdir(folder, { recursive: true })
    const prefix = `.${basename(target)}.`
    const version = `${prefix}${sha256(etag).slice(0, 16)}.`
    const mine = join(folder, `${version}${randomBytes(4).toString("hex")}.active`)
    const left: string[] = []
    for (const name of await fs.readdir(folder)) {
      if (!name.startsWith(prefix) || !versionAndState.test(name.slice(prefix.length))) continue
      const path = join(folder, name)
      if (name.endsWith(".active") && !(await abandoned(path))) continue
      if (name.startsWith(version)) left.push(path)
      else await fs.rm(path, { force: true })
    }
    for (const path of left) if (await renamed(path, mine)) break
    return mine
  })

const abandoned = (path: string): Promise<boolean> =>
  fs.stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs > abandonedAfter,
    () => false,
  )

/** If several processes rename the same file, one succeeds. */
const renamed = (from: string, to: string): Promise<boolean> =>
  fs.rename(from, to).then(
    () => true,
    () => false,
  )

/** The size of a part in bytes; 0 if it does not exist yet. */
export const sizeOfPartial = (partial: string): Effect.Effect<number> =>
  Effect.promise(() =>
    fs.stat(partial).then(
      ({ size }) => size,
      () => 0,
    ),
  )

/** Leaves a part to the next download of the same file. */
export const releasePartial = (partial: string): Effect.Effect<void> =>
  Effect.flatMap(sizeOfPartial(partial), (size) =>
    size === 0
      ? remove(partial)
      : Effect.promise(async () => void (await renamed(partial, partial.replace(/active$/, "partial")))),
  )
