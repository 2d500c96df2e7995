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

/** In a key, the commit of a repository that the hub has not been asked about. */
export const notAsked = "not asked yet"

/** The commit of a repository as keys have it, without asking the hub. Throws what {@link hubEnvironment} fails with. */
export const commitInKey = (repository: Repository): string =>
  knownCommit(cacheOf(Effect.runSync(hubEnvironment), repository), repository) ?? notAsked

/** Makes this process keep to commits that another has found, by the addresses of their repositories. */
export const pinCommits = Effect.fn("pinCommits")(function* (commits: Readonly<Record<string, string>>) {
  const environment = yield* hubEnvironment
  for (const [address, commit] of Object.entries(commits)) {
    const { repository } = hubAddress(address)!
    pinned.set(pinOf(cacheOf(environment, repository), repository), commit)
  }
})

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
