/** Requests to the hub: redirects to its storage, facts about a file in headers, errors that a person can act on. */
import { type } from "arktype"
import { Data, Effect } from "effect"
import type { Repository } from "./address.ts"
import type { HubEnvironment } from "./environment.ts"

/** A request that failed. */
export class RequestError extends Data.TaggedError("RequestError")<{
  readonly found: string
  readonly advice?: string
  /** Whether the same request may succeed a little later. */
  readonly again: boolean
  /** Set if the server has no such file, but has the repository or may have it. */
  readonly noSuchFile?: true
}> {}

/** What the hub announces about a file before it is downloaded. */
export interface FileFacts {
  /** SHA-256 of the content (large files) or its git blob SHA-1 (small files); other servers may send anything. */
  readonly etag: string
  readonly size: number
  /** The commit that the revision pointed to. */
  readonly commit: string | null
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
  return new URL(`${endpoint}/${type === "dataset" ? "datasets/" : ""}${id}/resolve/${revision}/${encoded}`)
}

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
    catch: (cause) =>
      new RequestError({
        found: `there is no connection to ${url.host} (${reasonOf(cause)})`,
        advice: localAdvice,
        again: false,
      }),
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
    return yield* errorOf(response, url, token !== undefined)
  }
  return response
})

const reasonOf = (cause: unknown): string => {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  if (!(inner instanceof Error)) return String(inner)
  return "code" in inner && typeof inner.code === "string" ? inner.code : inner.message
}

const discard = (response: Response) =>
  Effect.promise(() => response.body?.cancel().catch(() => undefined) ?? Promise.resolve())

const errorOf = (response: Response, url: URL, token: boolean): RequestError => {
  const { status } = response
  const reason = response.headers.get("x-error-message")
  const found = `${url.host} answered ${status}${reason === null ? "" : ` (${reason.slice(0, 200)})`}`
  const again = status === 429 || status >= 500
  const adviceOf: Record<string, string> = {
    RepoNotFound: "There is no such repository, or it is private: check its name",
    RevisionNotFound: "The repository has no such branch, tag or commit: check the revision",
    EntryNotFound: "The repository has no such file at this revision",
    GatedRepo: "Accept the repository's terms on the hub, and set HF_TOKEN to a token of that account",
  }
  const code = response.headers.get("x-error-code")
  const known = adviceOf[code ?? ""]
  if (known !== undefined) {
    return new RequestError({
      found,
      advice: known,
      again,
      ...(code === "EntryNotFound" ? { noSuchFile: true } : {}),
    })
  }
  if (status === 401 || status === 403) {
    const advice = token
      ? "HF_TOKEN is invalid, or may not read this repository"
      : "There is no such repository, or it is private: check its name, or set HF_TOKEN to a token that may read it"
    return new RequestError({ found, advice, again })
  }
  if (status === 404) {
    const advice = "Check the repository, revision and file"
    return new RequestError({ found, advice, again, noSuchFile: true })
  }
  return new RequestError({ found, advice: again ? "Try again later" : localAdvice, again })
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

const Facts = type({
  etag: "0 < string <= 256",
  size: "string.integer.parse",
  commit: "string <= 64 | null",
})

/**
 * Requests the facts about a file. The hub sends them in the redirect to its storage (`x-linked-…`) or, for small
 * files, in its own answer.
 */
export const factsOf = Effect.fnUntraced(function* (environment: HubEnvironment, url: URL) {
  const headers = yield* follow(environment, "HEAD", url, {}, ({ status, headers }) => {
    const commit = headers.get("x-repo-commit")
    const linked = headers.get("x-linked-etag")
    if (linked !== null) return { etag: linked, size: headers.get("x-linked-size"), commit }
    return status === 200
      ? { etag: headers.get("etag"), size: headers.get("content-length"), commit }
      : undefined
  })
  const facts = Facts({ ...headers, etag: headers.etag?.replace(/^W\//, "").replace(/^"(.*)"$/, "$1") })
  if (facts instanceof type.errors || facts.size < 0) {
    return yield* unexpected(url, "neither the size nor the digest of the file")
  }
  return facts satisfies FileFacts
})

/** A file's content, from byte `start` to the end. */
export interface Content {
  /** 0, whatever was requested, if the server ignores ranges. */
  readonly start: number
  readonly body: ReadableStream<Uint8Array>
}

/** Starts downloading a file's content from byte `start`. */
export const contentFrom = (environment: HubEnvironment, url: URL, start: number) =>
  follow(
    environment,
    "GET",
    url,
    start > 0 ? { range: `bytes=${start}-` } : {},
    (response): Content | undefined => {
      const { status, headers, body } = response
      if (status === 200) return { start: 0, body: body ?? new Blob([]).stream() }
      if (body === null || status !== 206) return undefined
      const range = /^bytes (\d+)-/.exec(headers.get("content-range") ?? "")
      return range !== null && Number(range[1]) === start ? { start, body } : undefined
    },
  )
