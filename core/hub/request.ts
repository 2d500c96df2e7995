/** Requests to the hub: redirects to its storage, facts about a file in headers, errors that a person can act on. */
import { type } from "arktype"
import { Clock, Data, Effect, Result } from "effect"
import { FileError } from "../io/files.ts"
import { formatSeconds, printable } from "../io/format.ts"
import { isCommit, type Repository } from "./address.ts"
import type { HubEnvironment } from "./environment.ts"

/** A request that failed. */
export class RequestError extends Data.TaggedError("RequestError")<{
  readonly found: string
  readonly advice?: string
  /** Whether the same request may succeed a little later. */
  readonly again: boolean
  /** How long the server asks to wait before that, ms. */
  readonly after?: number | undefined
  /** Set if there is no connection at all, as with no such host. */
  readonly unreachable?: true
  /** Set if the server does not have the part that was asked for. */
  readonly badRange?: true
  /** Set if the server has no such file, but has the repository or may have it. */
  readonly noSuchFile?: true
  /** The commit that has no such file. */
  readonly commit?: string | undefined
}> {}

/** A request as it fails for good. */
export const refused = (path: string, { found, advice }: RequestError): FileError =>
  new FileError({ path, doing: "download", found, ...(advice === undefined ? {} : { advice }) })

/** Another file may be cached that will do. */
export const notCached = new RequestError({
  found: "it is not cached, and HF_HUB_OFFLINE is set",
  advice: "Unset HF_HUB_OFFLINE, or use a local file or folder",
  again: false,
  noSuchFile: true,
})

/** What the hub announces about a file before it is downloaded. */
export interface FileFacts {
  /** SHA-256 of the content (large files) or its git blob SHA-1 (small files); other servers may send anything. */
  readonly etag: string
  readonly size: number
  /** The commit that the revision points to. */
  readonly commit: string
}

const mostRedirects = 5
const answerWithin = "30 seconds"
const localAdvice = "Use a local file or folder, or set HF_ENDPOINT to a mirror that can be reached"

/** The URL of a file's content at a commit or another revision. */
export const urlOf = (
  { endpoint }: HubEnvironment,
  { type, id, revision }: Repository,
  path: string,
): URL => {
  const encoded = path.split("/").map(encodeURIComponent).join("/")
  return new URL(
    `${endpoint}/${type === "dataset" ? "datasets/" : ""}${id}/resolve/${encodeURIComponent(revision)}/${encoded}`,
  )
}

/** What a connection fails with if it is likely to fail again: no such host, nobody listens there, no trust. */
const hopeless = /refused|ENOTFOUND|dns error|certificate|CERT|VERIFY|invalid|unsupported/i

/** Sends one request. Does not follow redirects; an error status is a failure. */
const send = Effect.fnUntraced(function* (
  { endpoint, token }: HubEnvironment,
  method: "GET" | "HEAD",
  url: URL,
  headers: Readonly<Record<string, string>>,
) {
  // The token is for the hub alone, not for the storage to which it redirects.
  const authorised = token !== undefined && url.origin === new URL(endpoint).origin
  const response = yield* Effect.tryPromise({
    try: (signal) =>
      fetch(url, {
        method,
        redirect: "manual",
        signal,
        headers: {
          // Sizes and ranges are those of the file itself, not of a compressed transfer.
          "accept-encoding": "identity",
          ...headers,
          ...(authorised ? { authorization: `Bearer ${token}` } : {}),
        },
      }),
    catch: (cause) => {
      const reason = reasonOf(cause)
      const found = `there is no connection to ${url.host} (${reason})`
      return hopeless.test(reason)
        ? new RequestError({ found, advice: localAdvice, again: false, unreachable: true })
        : new RequestError({ found, advice: localAdvice, again: true })
    },
  }).pipe(
    Effect.timeoutOrElse({
      duration: answerWithin,
      orElse: () =>
        Effect.fail(
          new RequestError({
            found: `${url.host} did not answer within ${answerWithin}`,
            advice: localAdvice,
            again: true,
          }),
        ),
    }),
  )
  if (response.status >= 400) {
    yield* discard(response)
    const error = errorOf(response, url, token !== undefined)
    const after = waitAskedBy(response.headers, yield* Clock.currentTimeMillis)
    return yield* new RequestError({ ...error, after })
  }
  return response
})

const reasonOf = (cause: unknown): string => {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  if (!(inner instanceof Error)) return String(inner)
  if ("code" in inner && typeof inner.code === "string") return inner.code
  // Deno names the whole address, and with it the signature of one in the storage.
  return inner.message.replace(/^error sending request .*?\): (?=client error)/, "")
}

const discard = (response: Response) =>
  Effect.promise(() => response.body?.cancel().catch(() => undefined) ?? Promise.resolve())

/**
 * How long a server asks to wait, ms: `Retry-After` in seconds or as a date, or the hub's own `RateLimit`, such as
 * `"api";r=0;t=55`; undefined if it does not say.
 */
export const waitAskedBy = (headers: Headers, now: number): number | undefined => {
  const given = headers.get("retry-after")?.trim() ?? ""
  if (/^\d+$/.test(given)) return 1000 * Number(given)
  const date = /^[A-Z][a-z]{2}, .+ GMT$/.test(given) ? Date.parse(given) : Number.NaN
  if (!Number.isNaN(date)) return Math.max(0, date - now)
  const limit = /;\s*r=0\s*;\s*t=(\d{1,9})/.exec(headers.get("ratelimit") ?? "")
  // A second more, since it is rounded.
  return limit === null ? undefined : 1000 * (Number(limit[1]) + 1)
}

const errorOf = (response: Response, url: URL, token: boolean): RequestError => {
  const { status } = response
  const reason = response.headers.get("x-error-message")
  const found = `${url.host} answered ${status}${reason === null ? "" : ` (${printable(reason.slice(0, 200))})`}`
  const again = status === 408 || status === 429 || status >= 500
  const commit = commitIn(response.headers)
  const adviceOf: Record<string, string> = {
    RepoNotFound: "There is no such repository, or it is private: check its name",
    RevisionNotFound: "The repository has no such branch, tag or commit: check the revision",
    EntryNotFound: "The repository has no such file at this revision",
    GatedRepo:
      "Accept the repository's terms on the hub, and log in with hf auth login or set HF_TOKEN to a token of that account",
  }
  const code = response.headers.get("x-error-code")
  const known = adviceOf[code ?? ""]
  if (known !== undefined) {
    return new RequestError({
      found,
      advice: known,
      again,
      ...(code === "EntryNotFound" ? { noSuchFile: true, commit } : {}),
    })
  }
  if (status === 401 || status === 403) {
    const advice = token
      ? "The token, of HF_TOKEN or hf auth login, is invalid or may not read this repository"
      : "There is no such repository, or it is private: check its name, or set HF_TOKEN to a token that may read it"
    return new RequestError({ found, advice, again })
  }
  if (status === 404) {
    const advice = "Check the repository, revision and file"
    return new RequestError({ found, advice, again, noSuchFile: true, commit })
  }
  const advice = again ? "Try again later" : localAdvice
  return new RequestError({ found, advice, again, ...(status === 416 ? { badRange: true } : {}) })
}

/** The next address of a redirect; null if the response is not a redirect. */
const redirection = (response: Response, url: URL): URL | RequestError | null => {
  const location = response.headers.get("location")
  if (response.status < 300 || response.status >= 400 || location === null) return null
  const next = URL.canParse(location, url) ? new URL(location, url) : null
  const safe = next !== null && (next.protocol === "https:" || next.protocol === url.protocol)
  return safe ? next : new RequestError({ found: `${url.host} redirects to an unsafe address`, again: false })
}

/** Follows redirects until `enough` returns a value for a response. */
const follow = Effect.fnUntraced(function* <A>(
  environment: HubEnvironment,
  method: "GET" | "HEAD",
  start: URL,
  headers: Readonly<Record<string, string>>,
  enough: (response: Response) => A | undefined,
) {
  let url = start
  for (let hop = 0; hop <= mostRedirects; hop++) {
    const response = yield* send(environment, method, url, headers)
    const found = enough(response)
    if (found !== undefined) return found
    const next = redirection(response, url)
    yield* discard(response)
    if (next instanceof RequestError) return yield* next
    if (next === null) return yield* unexpected(url, `status ${response.status}, without the hub's headers`)
    url = next
  }
  return yield* unexpected(url, `more than ${mostRedirects} redirects`)
})

const unexpected = (url: URL, what: string) =>
  new RequestError({ found: `${url.host} answered with ${what}`, advice: "Check HF_ENDPOINT", again: false })

const commitIn = (headers: Headers): string | undefined => {
  const commit = headers.get("x-repo-commit") ?? ""
  return isCommit(commit) ? commit : undefined
}

const Facts = type({
  etag: "0 < string <= 256",
  size: "string.integer.parse |> number.safe >= 0",
})

/**
 * Requests the facts about a file. The hub sends them in the redirect to its storage (`x-linked-…`) or, for small
 * files, in its own answer, which may come after a redirect.
 */
export const factsOf = Effect.fnUntraced(function* (
  environment: HubEnvironment,
  repository: Repository,
  path: string,
) {
  const url = urlOf(environment, repository, path)
  const { revision } = repository
  const asked = isCommit(revision) ? revision : undefined
  let commit: string | undefined
  const headers = yield* follow(environment, "HEAD", url, {}, ({ status, headers }) => {
    commit ??= commitIn(headers)
    const linked = headers.get("x-linked-etag")
    if (linked !== null) return { etag: linked, size: headers.get("x-linked-size") }
    return status === 200 ? { etag: headers.get("etag"), size: headers.get("content-length") } : undefined
  })
  const facts = Facts({ ...headers, etag: headers.etag?.replace(/^W\//, "").replace(/^"(.*)"$/, "$1") })
  if (facts instanceof type.errors) {
    return yield* unexpected(url, "neither the size nor the digest of the file")
  }
  if (asked !== undefined && commit !== undefined && commit !== asked) {
    return yield* unexpected(url, `another commit (${commit}) than the one that was asked for`)
  }
  commit ??= asked
  if (commit === undefined) return yield* unexpected(url, "no commit of the repository")
  return { ...facts, commit } satisfies FileFacts
})

/** A file's content, from byte `start` to the end. */
export interface Content {
  /** 0, whatever was requested, if the server ignores ranges. */
  readonly start: number
  readonly body: ReadableStream<Uint8Array>
}

/** Starts downloading a file's content from byte `start`, or all of it from a server that has no such range. */
export const contentFrom = Effect.fnUntraced(function* (
  environment: HubEnvironment,
  url: URL,
  start: number,
) {
  const answered = yield* Effect.result(
    follow(environment, "GET", url, start > 0 ? { range: `bytes=${start}-` } : {}, (response) =>
      contentIn(response, start),
    ),
  )
  if (Result.isSuccess(answered) && answered.success !== badRange) return answered.success
  if (Result.isFailure(answered) && answered.failure.badRange !== true) return yield* answered.failure
  const whole = yield* follow(environment, "GET", url, {}, (response) => contentIn(response, 0))
  return whole === badRange
    ? yield* unexpected(url, "a part of the file, though all of it was asked for")
    : whole
})

const badRange = "bad range"

const contentIn = (
  { status, headers, body }: Response,
  start: number,
): Content | typeof badRange | undefined => {
  if (status === 200) return { start: 0, body: body ?? new Blob([]).stream() }
  if (body === null || status !== 206) return undefined
  const range = /^bytes (\d+)-/.exec(headers.get("content-range") ?? "")
  return range !== null && Number(range[1]) === start ? { start, body } : badRange
}

/** How often a request that may succeed later is made again, if nothing comes meanwhile. */
const mostRetries = 5
/** Before the first of them, ms; doubled with each. */
const firstWait = 500
/** A server that asks for more time is not waited for, ms. */
const longestWait = 10 * 60 * 1000

/** How many bytes have come so far, of how many. */
export type Received = Effect.Effect<readonly [bytes: number, of: number]>

/**
 * Makes a request again, after a while, as long as it may succeed: after as long as the server asks, or after twice as
 * long each time.
 *
 * @param waiting told before each wait, with its length in ms
 * @param received with each thousandth of the bytes, failures are counted anew
 */
export const persistently = Effect.fnUntraced(function* <A, E, R, R2>(
  request: Effect.Effect<A, E | RequestError, R>,
  waiting: (error: RequestError, wait: number) => Effect.Effect<void, never, R2>,
  received: Received = Effect.succeed([0, 1]),
): Effect.fn.Return<A, E | RequestError, R | R2> {
  let failures = 0
  let [before] = yield* received
  while (true) {
    const result = yield* Effect.result(request)
    if (Result.isSuccess(result)) return result.success
    const error = result.failure
    if (!(error instanceof RequestError) || !error.again) return yield* Effect.fail(error)
    const [bytes, of] = yield* received
    if (bytes > before && bytes - before >= of / 1000) failures = 0
    before = bytes
    if (++failures > mostRetries) return yield* Effect.fail(error)
    const wait = error.after ?? firstWait * 2 ** (failures - 1)
    if (wait > longestWait) {
      const advice = `It asks to wait for ${formatSeconds(wait / 1000)}: start again then`
      return yield* new RequestError({ ...error, advice })
    }
    yield* waiting(error, wait)
    yield* Effect.sleep(wait)
  }
})
