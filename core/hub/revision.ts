/**
 * Which commit a branch or tag stands for. A process keeps to the first that it finds, so that all files of a study are
 * of one commit even if the branch moves on meanwhile.
 */
import { Effect, Result } from "effect"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"
import { describeRepository, hubAddress, type Repository } from "./address.ts"
import { cachedCommit, cacheOf, type RepositoryCache, writeCommit } from "./cache.ts"
import { hubEnvironment } from "./environment.ts"
import { factsOf, notCached, persistently, refused } from "./request.ts"

const pinned = new Map<string, string>()

const pinOf = ({ root }: RepositoryCache, repository: Repository): string =>
  `${root} ${describeRepository(repository)}`

/** The commit that a revision is or stands for; undefined if the hub has to be asked. */
export const knownCommit = (cache: RepositoryCache, repository: Repository): string | undefined => {
  const pin = pinOf(cache, repository)
  const commit = pinned.get(pin) ?? cachedCommit(cache, repository.revision)
  if (commit !== undefined) pinned.set(pin, commit)
  return commit
}

/**
 * The commit of an address's repository as far as it is known without asking the hub, which counts in keys.
 *
 * @returns undefined if it is not known; null if this is no address on the hub
 * @throws InvalidInput if an environment variable is invalid
 */
export const commitOfSource = (source: string): string | undefined | null => {
  const address = hubAddress(source)
  if (address === null) return null
  const { repository } = address
  return knownCommit(cacheOf(Effect.runSync(hubEnvironment), repository), repository)
}

/** A file that every repository has; an answer that it has none names the commit too. */
const anyFile = ".gitattributes"

/**
 * The commit that a revision is or stands for, asked of the hub unless it is known, and remembered.
 *
 * @throws FileError if there is no connection, no such repository or revision, or no permission
 * @throws InvalidInput if an environment variable is invalid
 */
export const resolveCommit: (repository: Repository) => Effect.Effect<string, FileError | InvalidInput> =
  Effect.fn("resolveCommit")(function* (repository: Repository) {
    const environment = yield* hubEnvironment
    const cache = cacheOf(environment, repository)
    const known = knownCommit(cache, repository)
    if (known !== undefined) return known
    const name = describeRepository(repository)
    if (environment.offline) return yield* refused(name, notCached)
    const facts = yield* Effect.result(
      persistently(factsOf(environment, repository, anyFile), () => Effect.void),
    )
    const { commit } = Result.isSuccess(facts) ? facts.success : facts.failure
    if (commit === undefined) return yield* refused(name, Result.getOrThrow(Result.flip(facts)))
    yield* writeCommit(cache, repository.revision, commit)
    pinned.set(pinOf(cache, repository), commit)
    return commit
  })
