/**
 * Files of the Hugging Face hub, each downloaded once, into the cache of Python's huggingface_hub (`cache.ts`). What is
 * there already is used, whichever of the two has downloaded it, once its content is what its etag promises.
 *
 * Our own rather than @huggingface/hub, whose download (2.17.5) neither resumes nor checks size and digest, lets two
 * downloads of one file write to the same partial file, and reads neither HF_ENDPOINT, HF_TOKEN nor HF_HUB_OFFLINE.
 */
import * as fs from "node:fs/promises"
import { basename, dirname } from "node:path"
import { Effect, Exit, Result } from "effect"
import { Progress } from "../api/progress.ts"
import type { InvalidInput } from "../io/decode.ts"
import { attempt, exists, FileError, remove } from "../io/files.ts"
import { formatBytes, formatSeconds } from "../io/format.ts"
import { describeRepository, isFilePath, type Repository } from "./address.ts"
import {
  addToSnapshot,
  blobName,
  blobPath,
  cacheOf,
  isAbsent,
  linkedBlob,
  lockPath,
  makeFolder,
  type RepositoryCache,
  snapshotPath,
  unwritable,
  writeAbsence,
  writeCommit,
} from "./cache.ts"
import { type HubEnvironment, hubEnvironment } from "./environment.ts"
import { takeBlobLock } from "./lock.ts"
import { abandonedAfter, claimPartial, othersProgress, releasePartial, sizeOfPartial } from "./partial.ts"
import {
  contentFrom,
  type FileFacts,
  factsOf,
  notCached,
  persistently,
  RequestError,
  refused,
  urlOf,
} from "./request.ts"
import { knownCommit } from "./revision.ts"
import { contentProblem, digestIn, digestProblem, remember, rememberedEtag } from "./verified.ts"

/** A transfer that stalls for this long is cancelled, and resumed where it stopped. */
const stalledAfter = "60 seconds"
const progressEvery = 2 ** 20

/** A path inside a repository, and the largest accepted size in bytes. */
export type Candidate = readonly [path: string, limit: number]

/**
 * A file of a repository, on the local disk: downloaded unless it is cached. A branch such as `main` stands for the
 * commit that the cache knows it as, and is looked up on the hub only if it knows none. Offline, cached files are still
 * found.
 *
 * @param path inside the repository: from {@link hubAddress}, or a constant
 * @param limit the largest accepted size in bytes
 * @returns the path of the local file, beside the other cached files of its commit
 * @throws FileError if there is no connection, no such file or no permission, or the content is not what the hub
 *   announced
 * @throws InvalidInput if an environment variable is invalid
 */
export const download = (repository: Repository, path: string, limit: number) =>
  downloadFirst(repository, [[path, limit]])

/** Like {@link download}, for files of which any one will do: the first that the repository has. */
export const downloadFirst: (
  repository: Repository,
  candidates: readonly Candidate[],
) => Effect.Effect<string, FileError | InvalidInput, Progress> = Effect.fn("downloadFirst")(
  function* (repository, candidates) {
    const environment = yield* hubEnvironment
    const all = describeRepository(repository, candidates.map(([path]) => path).join(" or "))
    const strange = candidates.find(([path]) => !isFilePath(path))
    if (strange !== undefined) {
      const found = `expected a path inside the repository, found ${JSON.stringify(strange[0].slice(0, 200))}`
      return yield* new FileError({ path: describeRepository(repository), doing: "download from", found })
    }
    let absent: RequestError | undefined
    for (const [path, limit] of candidates) {
      const found = yield* Effect.result(fileOf(environment, repository, path, limit))
      if (Result.isSuccess(found)) return found.success
      if (!(found.failure instanceof RequestError)) return yield* Effect.fail(found.failure)
      if (found.failure.noSuchFile !== true)
        return yield* refused(describeRepository(repository, path), found.failure)
      // That one is not cached says more than that another does not exist.
      absent = absent === notCached ? absent : found.failure
    }
    return yield* refused(all, absent!)
  },
)

/** The file of one path. Fails with a {@link RequestError} if the repository does not have it or cannot be asked. */
const fileOf = Effect.fnUntraced(function* (
  environment: HubEnvironment,
  repository: Repository,
  path: string,
  limit: number,
) {
  const cache = cacheOf(environment, repository)
  const name = describeRepository(repository, path)
  const known = knownCommit(cache, repository)
  if (known !== undefined) {
    if (yield* isAbsent(cache, known, path)) return yield* knownAbsent
    const snapshot = snapshotPath(cache, known, path)
    const problem = yield* cachedProblem(cache, snapshot, limit)
    if (problem === null) return snapshot
    if (problem !== notThere && environment.offline) {
      const advice = "Unset HF_HUB_OFFLINE, so that it is downloaded again"
      return yield* new FileError({ path: snapshot, doing: "use", found: problem, advice })
    }
    if (problem !== notThere) {
      yield* Effect.logWarning(`${snapshot} is damaged and is downloaded again: ${problem}`)
    }
  }
  if (environment.offline) return yield* notCached
  const asked = { ...repository, revision: known ?? repository.revision }
  const facts = yield* persistently(factsOf(environment, asked, path), waiting(path)).pipe(
    Effect.tapError((error) =>
      error.commit === undefined || (known !== undefined && error.commit !== known)
        ? Effect.void
        : Effect.andThen(
            writeCommit(cache, repository.revision, error.commit),
            writeAbsence(cache, error.commit, path),
          ),
    ),
  )
  yield* checkSize(name, facts.size, limit)
  yield* writeCommit(cache, repository.revision, facts.commit)
  const snapshot = snapshotPath(cache, facts.commit, path)
  // A commit's content cannot change between the facts and the transfer, nor before the transfer is resumed.
  const url = urlOf(environment, { ...repository, revision: facts.commit }, path)
  yield* Effect.mapError(Effect.scoped(fetchBlob(environment, cache, snapshot, url, facts)), unwritable)
  return snapshot
})

const knownAbsent = new RequestError({
  found: "the hub has said before that it does not exist",
  advice: "The repository has no such file at this revision",
  again: false,
  noSuchFile: true,
})

const checkSize = (path: string, size: number, limit: number) =>
  size <= limit
    ? Effect.void
    : new FileError({ path, doing: "download", found: `expected at most ${limit} bytes, found ${size}` })

const waiting = (path: string) => (error: RequestError, wait: number) =>
  Effect.flatMap(Progress, ({ report }) =>
    report(0, 0, `${basename(path)}: ${error.found}; again in ${formatSeconds(wait / 1000)}`),
  )

const notThere = "it is not there"

/** What is wrong with a snapshot's file; null if it is there and has the content that it should have. */
const cachedProblem = Effect.fnUntraced(function* (cache: RepositoryCache, snapshot: string, limit: number) {
  if (!(yield* exists(snapshot))) return notThere
  const file = yield* attempt("read", snapshot, () => fs.realpath(snapshot))
  const { size } = yield* attempt("read", file, () => fs.stat(file))
  yield* checkSize(snapshot, size, limit)
  const etag = (yield* linkedBlob(cache, snapshot)) ?? (yield* rememberedEtag(file))
  return etag === undefined ? null : yield* contentProblem(file, etag, basename(snapshot))
})

/** Downloads a file into the cache, unless its content is there already or comes meanwhile. */
const fetchBlob = Effect.fnUntraced(function* (
  environment: HubEnvironment,
  cache: RepositoryCache,
  snapshot: string,
  url: URL,
  facts: FileFacts,
) {
  const name = blobName(facts.etag)
  const blob = blobPath(cache, name)
  const file = basename(snapshot)
  yield* makeFolder(cache, dirname(blob))
  yield* makeFolder(cache, cache.locks)
  const alone = yield* takeBlobLock(lockPath(cache, name), waitingForOthers(cache, name, facts.size, file))
  if (yield* isIntact(snapshot, name, facts, file)) return
  if (!(yield* isIntact(blob, name, facts, file))) {
    const resumable = digestIn(name) !== undefined
    yield* Effect.acquireUseRelease(
      claimPartial(cache, name, { alone, resumable }),
      Effect.fnUntraced(function* (partial) {
        const received = Effect.map(sizeOfPartial(partial), (size) => [size, facts.size] as const)
        yield* checkSpace(blob, facts.size - (yield* received)[0])
        const transfer = fetchAll(environment, url, partial, facts, file).pipe(
          Effect.mapError((error) =>
            // The hub has just answered: its host is there, and will be again.
            error instanceof RequestError && error.unreachable === true
              ? new RequestError({ ...error, again: true })
              : error,
          ),
        )
        yield* persistently(transfer, waiting(file), received)
        yield* attempt("write", blob, () => fs.rename(partial, blob))
      }),
      (partial, exit) => (Exit.isSuccess(exit) ? Effect.void : releasePartial(partial)),
    )
  }
  yield* addToSnapshot(cache, blob, snapshot)
  yield* remember(yield* attempt("read", snapshot, () => fs.realpath(snapshot)), name)
})

/** Refuses a download for which there is no room, before anything of it is transferred. */
const checkSpace = Effect.fnUntraced(function* (blob: string, needed: number) {
  const disk = yield* Effect.promise(() => fs.statfs(dirname(blob)).catch(() => undefined))
  // Some network file systems do not say.
  if (disk === undefined || disk.blocks === 0) return
  const free = disk.bavail * disk.bsize
  if (free >= needed) return
  const found = `expected ${formatBytes(needed)} of free disk space, found ${formatBytes(free)}`
  const advice = "Free some, or set HF_HUB_CACHE to a folder on another disk"
  return yield* new FileError({ path: blob, doing: "write", found, advice })
})

/** Whether a file is there with the content of the blob `name`, which another commit or another path may have too. */
const isIntact = Effect.fnUntraced(function* (path: string, name: string, { size }: FileFacts, file: string) {
  const real = yield* Effect.promise(() => fs.realpath(path).catch(() => undefined))
  if (real === undefined || (yield* sizeOfPartial(real)) !== size) return false
  return (yield* contentProblem(real, name, file)) === null
})

/** Reports how far another process has come with a file, as long as it seems to be alive. */
const waitingForOthers =
  (cache: RepositoryCache, name: string, size: number, file: string) => (waited: number) =>
    Effect.gen(function* () {
      const others = yield* othersProgress(cache, name)
      const note = `${file}: another process downloads it, ${ofMegabytes(others.size, size)}`
      yield* (yield* Progress).report(others.size, size, note)
      return Math.min(others.age, waited) < abandonedAfter
    })

/** Downloads the rest of `partial` and checks the whole file. */
const fetchAll = Effect.fnUntraced(function* (
  environment: HubEnvironment,
  url: URL,
  partial: string,
  facts: FileFacts,
  name: string,
) {
  const before = yield* sizeOfPartial(partial)
  if (before < facts.size || facts.size === 0) {
    const { start, body } = yield* contentFrom(environment, url, before)
    yield* append(body, partial, start, facts.size, name)
  }
  const size = yield* sizeOfPartial(partial)
  const problem =
    size === facts.size
      ? yield* digestProblem(partial, facts.etag, name)
      : `expected ${facts.size} bytes, as announced, found ${size}`
  if (problem === null) return
  yield* remove(partial)
  // A resumed file may have a bad beginning or a bad end, so it is tried again; one from a single transfer is not.
  const again = before > 0
  return yield* new RequestError({ found: problem, advice: otherServer, again })
})

/** Truncates `partial` to `start` bytes and appends the body. */
const append = (
  body: ReadableStream<Uint8Array>,
  partial: string,
  start: number,
  size: number,
  name: string,
) => {
  const reader = body.getReader()
  const writing = Effect.fnUntraced(function* (file: fs.FileHandle) {
    const progress = yield* Progress
    let position = start
    let reported = -progressEvery
    while (true) {
      if (position - reported >= progressEvery || position === size) {
        reported = position
        yield* progress.report(position, size, `${name} ${ofMegabytes(position, size)}`)
      }
      const { done, value } = yield* read(reader)
      if (done) break
      if (position + value.length > size) {
        const found = `the server sent more than the ${size} bytes it announced`
        return yield* new RequestError({ found, advice: otherServer, again: false })
      }
      yield* attempt("write", partial, () => file.write(value, 0, value.length, position))
      position += value.length
    }
    if (position < size) {
      const found = `the connection closed after ${position} of ${size} bytes`
      return yield* new RequestError({ found, advice: "Try again to resume", again: true })
    }
    yield* attempt("write", partial, () => file.sync())
  })
  return Effect.acquireUseRelease(
    attempt("write", partial, async () => {
      const { O_RDWR, O_CREAT, O_NOFOLLOW } = fs.constants
      const file = await fs.open(partial, O_RDWR | O_CREAT | O_NOFOLLOW)
      await file.truncate(start)
      return file
    }),
    writing,
    (file) => Effect.promise(() => file.close().catch(() => undefined)),
  ).pipe(Effect.ensuring(Effect.promise(() => reader.cancel().catch(() => undefined))))
}

const otherServer = "Try again, or set another HF_ENDPOINT"

const read = (reader: ReadableStreamDefaultReader<Uint8Array>) =>
  Effect.tryPromise({
    try: () => reader.read(),
    catch: (cause) => interruptedTransfer(cause instanceof Error ? cause.message : String(cause)),
  }).pipe(
    Effect.timeoutOrElse({
      duration: stalledAfter,
      orElse: () => Effect.fail(interruptedTransfer(`no data for ${stalledAfter}`)),
    }),
  )

const interruptedTransfer = (reason: string) =>
  new RequestError({
    found: `the transfer was interrupted (${reason})`,
    advice: "Try again to resume",
    again: true,
  })

const ofMegabytes = (done: number, size: number): string => `${megabytes(done)} of ${megabytes(size)} MB`

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)
