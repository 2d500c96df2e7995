/**
 * The cache of Python's huggingface_hub, in its own layout, so that either finds what the other has downloaded:
 *
 * ```
 * CACHE/models--owner--name/refs/<revision>                 the commit that a branch or tag stood for
 * CACHE/models--owner--name/blobs/<etag>                    a file's content
 * CACHE/models--owner--name/snapshots/<commit>/<path>       a relative symbolic link to it, or the file itself
 * CACHE/models--owner--name/.no_exist/<commit>/<path>       the commit has no such file
 * CACHE/.locks/models--owner--name/<etag>.lock              locked while the file is downloaded
 * ```
 *
 * No name comes from a server unchecked, and nothing is written through a symbolic link that leads out of the cache.
 */
import { randomBytes } from "node:crypto"
import { readFileSync, statSync } from "node:fs"
import * as fs from "node:fs/promises"
import { basename, dirname, join, relative, resolve, sep } from "node:path"
import { Effect } from "effect"
import { sha256 } from "../io/digest.ts"
import { attempt, errorCode, FileError } from "../io/files.ts"
import { isCommit, type Repository } from "./address.ts"
import type { HubEnvironment } from "./environment.ts"

/** A repository's part of the cache. */
export interface RepositoryCache {
  /** The folder of the whole cache. */
  readonly root: string
  readonly folder: string
  readonly locks: string
  /** Whether snapshots are symbolic links to blobs. */
  readonly links: boolean
}

export const cacheOf = (
  { cache, links }: Pick<HubEnvironment, "cache" | "links">,
  { type, id }: Repository,
): RepositoryCache => {
  const name = `${type}s--${id.replace("/", "--")}`
  return { root: cache, folder: join(cache, name), locks: join(cache, ".locks", name), links }
}

export const snapshotPath = ({ folder }: RepositoryCache, commit: string, path: string): string =>
  join(folder, "snapshots", commit, ...path.split("/"))

const refPath = ({ folder }: RepositoryCache, revision: string): string =>
  join(folder, "refs", ...revision.split("/"))

const absencePath = ({ folder }: RepositoryCache, commit: string, path: string): string =>
  join(folder, ".no_exist", commit, ...path.split("/"))

/** The name of the content with this etag. One that no file can have, from another server, becomes its digest. */
export const blobName = (etag: string): string =>
  /^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/.test(etag) ? etag : `etag-${sha256(etag)}`

export const blobPath = ({ folder }: RepositoryCache, name: string): string => join(folder, "blobs", name)

export const lockPath = ({ locks }: RepositoryCache, name: string): string => join(locks, `${name}.lock`)

/** The commit that a revision is, or that a branch or tag stood for when it was last asked for, here or in Python. */
export const cachedCommit = (cache: RepositoryCache, revision: string): string | undefined => {
  if (isCommit(revision)) return revision
  try {
    const path = refPath(cache, revision)
    const stat = statSync(path)
    const commit = stat.isFile() && stat.size <= 64 ? readFileSync(path, "utf8").trim() : ""
    return isCommit(commit) ? commit : undefined
  } catch {
    return undefined
  }
}

/** Remembers which commit a branch or tag stands for. */
export const writeCommit = (cache: RepositoryCache, revision: string, commit: string) =>
  cachedCommit(cache, revision) === commit ? Effect.void : write(cache, refPath(cache, revision), commit)

/** Whether it is known that a commit has no such file. */
export const isAbsent = (cache: RepositoryCache, commit: string, path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    fs.stat(absencePath(cache, commit, path)).then(
      (stat) => stat.isFile(),
      () => false,
    ),
  )

/** Remembers that a commit has no such file. */
export const writeAbsence = (cache: RepositoryCache, commit: string, path: string) =>
  write(cache, absencePath(cache, commit, path), "")

const write = Effect.fnUntraced(function* (cache: RepositoryCache, path: string, content: string) {
  yield* makeFolder(cache, dirname(path))
  yield* attempt("write", path, () =>
    replace(path, (temporary) => fs.writeFile(temporary, content, { flag: "wx" })),
  )
})

/** Makes something under another name and renames it: what was there, a link also, is replaced, not followed. */
const replace = async (path: string, make: (temporary: string) => Promise<void>): Promise<void> => {
  const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`
  try {
    await make(temporary)
    await fs.rename(temporary, path)
  } catch (cause) {
    await fs.rm(temporary, { force: true })
    throw cause
  }
}

/**
 * Makes a folder of the cache, one level after the other.
 *
 * @throws FileError if one of them is a symbolic link that leads out of the cache
 */
export const makeFolder = ({ root }: RepositoryCache, folder: string): Effect.Effect<void, FileError> =>
  attempt("make", folder, async () => {
    await fs.mkdir(root, { recursive: true })
    const inside = await fs.realpath(root)
    let path = root
    for (const part of relative(root, folder).split(sep)) {
      path = join(path, part)
      await fs.mkdir(path).catch((cause: unknown) => {
        if (errorCode(cause) !== "EEXIST") throw cause
      })
      const real = await fs.realpath(path)
      if (real.startsWith(inside + sep)) continue
      throw new FileError({
        path,
        doing: "write into",
        found: `it is a symbolic link out of the cache, to ${real}`,
        advice: "Remove the link, or set HF_HUB_CACHE to another folder",
      })
    }
  }).pipe(Effect.mapError(unwritable))

/** A failure to write into the cache, with what to do about it. */
export const unwritable = <E>(error: E | FileError): E | FileError =>
  error instanceof FileError && (error.advice === undefined || error.found.includes("read-only"))
    ? new FileError({ ...error, advice: "Set HF_HUB_CACHE to a folder that you can write to" })
    : error

/**
 * The name of the blob that a snapshot's file is a link to; undefined if it is no link to a blob of its repository,
 * as where the file itself is in the snapshot.
 */
export const linkedBlob = (
  { folder }: RepositoryCache,
  snapshot: string,
): Effect.Effect<string | undefined> =>
  Effect.promise(async () => {
    const target = await fs.readlink(snapshot).catch(() => undefined)
    if (target === undefined) return undefined
    const blob = resolve(dirname(snapshot), target)
    return dirname(blob) === join(folder, "blobs") ? basename(blob) : undefined
  })

/** Gives a blob its place in a snapshot: as a link or, where there can be none, as the file itself, as Python does. */
export const addToSnapshot = Effect.fnUntraced(function* (
  cache: RepositoryCache,
  blob: string,
  snapshot: string,
) {
  yield* makeFolder(cache, dirname(snapshot))
  yield* attempt("link", snapshot, async () => {
    const link = (temporary: string) => fs.symlink(relative(dirname(snapshot), blob), temporary)
    if (
      cache.links &&
      (await replace(snapshot, link).then(
        () => true,
        () => false,
      ))
    )
      return
    await fs.rename(blob, snapshot)
  })
})
