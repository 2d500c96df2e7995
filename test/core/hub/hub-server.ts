/** A local server that answers as the hub does: facts in the redirect to its storage, ranges, errors. */
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface Served {
  readonly content: Uint8Array
  /** Large files are in a storage of their own and have their SHA-256 as etag; small ones, their git blob SHA-1. */
  readonly large: boolean
  /** The content that the hub announces, if it is not the one that it sends. */
  readonly announced?: Uint8Array
}

export interface Seen {
  readonly method: string
  /** Decoded, without a slash at the start. */
  readonly path: string
  /** As it was sent. */
  readonly url: string
  /** Whether the request went to the storage, not to the hub. */
  readonly storage: boolean
  readonly range: string | undefined
  readonly authorization: string | undefined
}

export const commit = "0123456789abcdef0123456789abcdef01234567"

/** What goes wrong: it answers a request itself, or returns `false` to leave it to the server. */
export type Fault = (request: Seen, response: ServerResponse, file: Served | undefined) => boolean

/** The digest that the hub announces. */
export const etagOf = (content: Uint8Array, large: boolean): string =>
  large
    ? createHash("sha256").update(content).digest("hex")
    : createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex")

/** Serves `files` by their path, such as `owner/name/resolve/main/config.json`. */
export const hubServer = async (files: Readonly<Record<string, Served>>) => {
  const seen: Seen[] = []
  let fault: Fault = () => false
  const storage = createServer((request, response) => answer(request, response, true))
  const hub = createServer((request, response) => answer(request, response, false))

  const answer = (message: IncomingMessage, response: ServerResponse, isStorage: boolean) => {
    const path = decodeURIComponent(message.url!.slice(1))
    const { range, authorization } = message.headers
    const { method, url } = message
    const request: Seen = { method: method!, path, url: url!, storage: isStorage, range, authorization }
    seen.push(request)
    const file = files[path.replace(`/${commit}/`, "/main/")]
    if (fault(request, response, file)) return
    if (file === undefined) {
      const absent = { "x-error-code": "EntryNotFound", "x-error-message": "Entry not found" }
      response.writeHead(404, { ...absent, "x-repo-commit": commit }).end()
      return
    }
    const announced = file.announced ?? file.content
    const etag = `"${etagOf(announced, file.large)}"`
    if (file.large && !isStorage) {
      const { port } = storage.address() as AddressInfo
      response.writeHead(302, {
        location: `http://localhost:${port}/${path}`,
        "x-repo-commit": commit,
        "x-linked-etag": etag,
        "x-linked-size": announced.length,
      })
      response.end("Found. Redirecting")
      return
    }
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0)
    const body = file.content.subarray(start)
    const facts = { etag: isStorage ? '"of-the-storage"' : `W/${etag}`, "x-repo-commit": commit }
    const part =
      start > 0 ? { "content-range": `bytes ${start}-${file.content.length - 1}/${file.content.length}` } : {}
    response.writeHead(start > 0 ? 206 : 200, { ...facts, ...part, "content-length": body.length })
    response.end(request.method === "HEAD" ? undefined : body)
  }

  // As for the hub's own storage, the host is another one.
  const listening = [
    [storage, "localhost"],
    [hub, "127.0.0.1"],
  ] as const
  await Promise.all(
    listening.map(([server, host]) => new Promise<void>((done) => server.listen(0, host, done))),
  )
  return {
    endpoint: `http://127.0.0.1:${(hub.address() as AddressInfo).port}`,
    seen,
    /** Sets what goes wrong with the next requests. */
    break: (next: Fault) => {
      fault = next
    },
    close: () => {
      for (const server of [storage, hub]) {
        server.closeAllConnections()
        server.close()
      }
    },
  }
}
