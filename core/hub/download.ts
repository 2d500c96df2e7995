/**
 * Files of the Hugging Face hub, each downloaded once and cached. A cached file is complete and has the digest that
 * the hub announced: this is checked before the file gets its name, and again whenever it is requested.
 *
 * ```
 * CACHE/models--owner--name/<revision>/<path>             the file
 * CACHE/models--owner--name/<revision>/.<name>.origin.json    its etag, size and commit
 * ```
 *
 * Our own rather than @huggingface/hub, whose download (2.17.5) neither resumes nor checks size and digest, lets two
 * downloads of one file write to the same partial file, and reads neither HF_ENDPOINT, HF_TOKEN nor HF_HUB_OFFLINE.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { type } from "arktype"
import { Effect, Exit, Result, Schedule } from "effect"
import { Progress } from "../api/progress.ts"
import type { InvalidInput } from "../io/decode.ts"
import { digestFile } from "../io/digest.ts"
import { attempt, exists, FileError, readJson, remove, writeJson } from "../io/files.ts"
import { describeRepository, type Repository } from "./address.ts"
import { type HubEnvironment, hubEnvironment } from "./environment.ts"
import { claimPartial, releasePartial, sizeOfPartial } from "./partial.ts"
import { contentFrom, type FileFacts, factsOf, RequestError, urlOf } from "./request.ts"

const Origin = type({
  "+": "reject",
  etag: "string",
  size: "number.integer >= 0",
  commit: "string | null",
})

/** A transfer that stalls for this long is cancelled, and resumed where it stopped. */
const stalledAfter = "60 seconds"
const attempts = Schedule.exponential("500 millis")
const mostRetries = 4
const progressEvery = 2 ** 20

/** A path inside a repository, and the largest accepted size in bytes. */
export type Candidate = readonly [path: string, limit: number]

/**
 * A file of a repository, on the local disk: downloaded unless it is cached. A branch such as `main` is downloaded
 * once, and used in that state from then on. Offline, cached files are still found.
 *
 * @param path inside the repository: from {@link hubAddress}, or a constant
 * @param limit the largest accepted size in bytes
 * @returns the path of the local file
 * @throws FileError if there is no connection, no such file or no permission, or the content is not what the hub
 *   announced
 * @throws InvalidInput if an environment variable is invalid
 */
export const download = (repository: Repository, path: string, limit: number) =>
  downloadFirst(repository, [[path, limit]])

/**
 * Like {@link download}, for files of which any one will do: the first that is cached, otherwise the first that the
 * repository has.
 */
export const downloadFirst: (
  repository: Repository,
  candidates: readonly Candidate[],
) => Effect.Effect<string, FileError | InvalidInput, Progress> = Effect.fn("downloadFirst")(
  function* (repository, candidates) {
    const environment = yield* hubEnvironment
    const owner = `${repository.type}s--${repository.id.replace("/", "--")}`
    const targetOf = (path: string) => join(environment.cache, owner, repository.revision, ...path.split("/"))
    for (const [path] of candidates) if (yield* isCached(targetOf(path))) return targetOf(path)

    if (environment.offline) {
      return yield* new FileError({
        path: describeAll(repository, candidates),
        doing: "download",
        found: "it is not cached, and HF_HUB_OFFLINE is set",
        advice: "Unset HF_HUB_OFFLINE, or use a local file or folder",
      })
    }
    const { path, limit, facts } = yield* firstThere(environment, repository, candidates)
    const target = targetOf(path)
    const name = describeRepository(repository, path)
    if (facts.size > limit) {
      const found = `expected at most ${limit} bytes, found ${facts.size}`
      return yield* new FileError({ path: name, doing: "download", found })
    }
    // A commit's content cannot change between the facts and the transfer, nor before the transfer is resumed.
    const pinned = { ...repository, revision: commitOf(facts) ?? repository.revision }
    const url = urlOf(environment, pinned, path)
    const partial = yield* claimPartial(target, facts.etag)
    yield* withRetries(fetchAll(environment, url, partial, facts, basename(path))).pipe(
      Effect.catchTag("RequestError", (error) => refuse(name, error)),
      Effect.andThen(writeJson(originOf(target), facts)),
      Effect.andThen(attempt("write", target, () => fs.rename(partial, target))),
      Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : releasePartial(partial))),
    )
    return target
  },
)

/** Requests the candidates in turn. A file that does not exist leads to the next one; any other error is final. */
const firstThere = Effect.fnUntraced(function* (
  environment: HubEnvironment,
  repository: Repository,
  candidates: readonly Candidate[],
) {
  for (const [index, [path, limit]] of candidates.entries()) {
    const answer = yield* Effect.result(
      withRetries(factsOf(environment, urlOf(environment, repository, path))),
    )
    if (Result.isSuccess(answer)) return { path, limit, facts: answer.success }
    const absent = answer.failure.noSuchFile === true
    if (!absent) return yield* refuse(describeRepository(repository, path), answer.failure)
    if (index === candidates.length - 1) {
      return yield* refuse(describeAll(repository, candidates), answer.failure)
    }
  }
  throw new Error("there is no candidate to download")
})

const describeAll = (repository: Repository, candidates: readonly Candidate[]): string =>
  describeRepository(repository, candidates.map(([path]) => path).join(" or "))

const refuse = (name: string, { found, advice }: RequestError) =>
  Effect.fail(
    new FileError({ path: name, doing: "download", found, ...(advice === undefined ? {} : { advice }) }),
  )

const withRetries = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(effect, {
    schedule: attempts,
    times: mostRetries,
    while: (error) => error instanceof RequestError && error.again,
  })

const commitOf = ({ commit }: FileFacts): string | undefined =>
  commit !== null && /^[0-9a-f]{40}$/.test(commit) ? commit : undefined

const originOf = (target: string): string => join(dirname(target), `.${basename(target)}.origin.json`)

/** Whether the file exists and is as announced; one that is not is removed. */
const isCached = Effect.fnUntraced(function* (target: string) {
  if (!(yield* exists(target))) return false
  const intact = yield* readJson(originOf(target), Origin, 4096).pipe(
    Effect.flatMap((origin) => problemWith(target, origin)),
    Effect.map((problem) => problem === null),
    Effect.orElseSucceed(() => false),
  )
  if (!intact) yield* remove(target)
  return intact
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
  const problem = yield* problemWith(partial, facts)
  if (problem === null) return
  yield* remove(partial)
  // A resumed file may have a bad beginning or a bad end, so it is tried again; one from a single transfer is not.
  const again = before > 0
  return yield* new RequestError({ found: problem, advice: "Try again, or set another HF_ENDPOINT", again })
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
        yield* progress.report(position, size, `${name} ${megabytes(position)} of ${megabytes(size)} MB`)
      }
      const { done, value } = yield* read(reader)
      if (done) break
      if (position + value.length > size) {
        const found = `the server sent more than the ${size} bytes it announced`
        return yield* new RequestError({ found, again: false })
      }
      yield* attempt("write", partial, () => file.write(value, 0, value.length, position))
      position += value.length
    }
    if (position < size) {
      const found = `the connection closed after ${position} of ${size} bytes`
      return yield* new RequestError({ found, advice: "Try again to resume", again: true })
    }
  })
  return Effect.acquireUseRelease(
    attempt("write", partial, async () => {
      const file = await fs.open(partial, start > 0 ? "r+" : "w")
      await file.truncate(start)
      return file
    }),
    writing,
    (file) => Effect.promise(() => file.close().catch(() => undefined)),
  ).pipe(Effect.ensuring(Effect.promise(() => reader.cancel().catch(() => undefined))))
}

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

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)

/**
 * The problem with a file; null if it is as announced. An etag of 64 hexadecimal digits is the content's SHA-256, one
 * of 40 its git blob SHA-1; with any other etag only the size can be checked.
 */
const problemWith = (path: string, { etag, size }: Pick<FileFacts, "etag" | "size">) =>
  attempt("read", path, async () => {
    const found = (await fs.stat(path)).size
    if (found !== size) return `expected ${size} bytes, as announced, found ${found}`
    const [algorithm, prefix] = etag.length === 64 ? ["sha256", ""] : ["sha1", `blob ${size}\0`]
    if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(etag)) return null
    const digest = await digestFile(path, createHash(algorithm!).update(prefix!))
    return digest === etag
      ? null
      : `its content is not what was announced (expected ${algorithm} ${etag}, found ${digest})`
  })
