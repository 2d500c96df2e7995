/**
 * Partial downloads, beside the blobs and under the names that Python gives them. Each download writes to a file of its
 * own, since on some network file systems a lock holds nobody off. One that ends early leaves its part to the next,
 * which takes it over by renaming it.
 *
 * ```
 * blobs/<etag>.<random>.incomplete    being written, or left by a process that was killed
 * blobs/<etag>.incomplete             left by a download that was stopped, also by an older Python
 * ```
 */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { attempt, type FileError, remove } from "../io/files.ts"
import { blobPath, type RepositoryCache } from "./cache.ts"

const incomplete = /^(.+?)(?:\.[0-9a-f]{8})?\.incomplete$/

/** A download that has written nothing for so long is not alive, ms. It waits for a server for less. */
export const abandonedAfter = 15 * 60 * 1000
/** What nobody has resumed for so long is removed, ms. */
const forgottenAfter = 7 * 24 * 3600 * 1000

interface Partial {
  readonly path: string
  /** The name of its blob. */
  readonly blob: string
  readonly size: number
  /** Milliseconds since it was written to. */
  readonly age: number
}

/** The partial files of a repository, the largest first. */
const partialsIn = async (cache: RepositoryCache): Promise<readonly Partial[]> => {
  const folder = blobPath(cache, "")
  const partials: Partial[] = []
  for (const name of await fs.readdir(folder).catch((): string[] => [])) {
    const blob = incomplete.exec(name)?.[1]
    if (blob === undefined) continue
    const path = join(folder, name)
    const stat = await fs.lstat(path).catch(() => undefined)
    // A link is none of ours, and would be followed when written to.
    if (stat?.isFile()) partials.push({ path, blob, size: stat.size, age: Date.now() - stat.mtimeMs })
  }
  return partials.sort((a, b) => b.size - a.size)
}

/** How many bytes of a blob others have downloaded so far, and how long ago the last of them came, ms. */
export const othersProgress = (cache: RepositoryCache, blob: string) =>
  Effect.promise(async () => {
    const partials = (await partialsIn(cache)).filter((partial) => partial.blob === blob)
    return { size: partials[0]?.size ?? 0, age: Math.min(...partials.map(({ age }) => age)) }
  })

/**
 * The path of a part of a blob for this download alone, new or taken over. Other parts of it that nobody writes to, and
 * those of other blobs that have long been left, are removed.
 *
 * @param alone whether nobody else downloads it, since this process has its lock
 * @param resumable whether a mistake in what others have left would be noticed
 */
export const claimPartial = (
  cache: RepositoryCache,
  blob: string,
  { alone, resumable }: { readonly alone: boolean; readonly resumable: boolean },
): Effect.Effect<string, FileError> => {
  const mine = blobPath(cache, `${blob}.${randomBytes(4).toString("hex")}.incomplete`)
  return attempt("make", mine, async () => {
    let claimed = false
    for (const partial of await partialsIn(cache)) {
      const left =
        partial.blob === blob ? alone || partial.age > abandonedAfter : partial.age > forgottenAfter
      if (!left) continue
      if (partial.blob === blob && resumable && !claimed) claimed = await renamed(partial.path, mine)
      else await fs.rm(partial.path, { force: true })
    }
    return mine
  })
}

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
      : Effect.promise(
          async () => void (await renamed(partial, partial.replace(/\.[0-9a-f]{8}(?=\.incomplete$)/, ""))),
        ),
  )
