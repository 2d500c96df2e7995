import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import type { ServerResponse } from "node:http"
import { basename, join } from "node:path"
import { Effect, Fiber } from "effect"
import type { Repository } from "../../../core/hub/address.ts"
import { downloadFirst } from "../../../core/hub/download.ts"
import { bytes, downloading as hubDownload, type Report, reporting, repository } from "./downloading.ts"
import { commit, etagOf, type Fault, hubServer, type Seen, type Served } from "./hub-server.ts"
import { inNewCache } from "./in-cache.ts"

const weights: Served = { content: bytes(3_000_000), large: true }
const config: Served = { content: new TextEncoder().encode('{"hidden_size": 8}\n'), large: false }
const standard = {
  "owner/name/resolve/main/model.safetensors": weights,
  "owner/name/resolve/main/config.json": config,
  "owner/name/resolve/main/empty.txt": { content: bytes(0), large: false },
  "datasets/owner/name/resolve/main/rte/train.parquet": { content: bytes(5000), large: true },
}

const cache = inNewCache()
let server: Awaited<ReturnType<typeof hubServer>>
let reports: Report[]
const serve = async (files: Readonly<Record<string, Served>>) => {
  server?.close()
  server = await hubServer(files)
  process.env.HF_ENDPOINT = server.endpoint
}

beforeEach(async () => {
  reports = []
  await serve(standard)
})

afterEach(() => server.close())

const downloading = (path: string, limit = 1e9, from = repository) =>
  hubDownload(path, { limit, from, reports })
const fetched = (...wanted: Parameters<typeof downloading>) => Effect.runPromise(downloading(...wanted))
const refused = async (...wanted: Parameters<typeof downloading>) =>
  (await Effect.runPromise(Effect.flip(downloading(...wanted)))).message
const contentOf = (path: string): Uint8Array => new Uint8Array(readFileSync(path))
const transfers = () => server.seen.filter(({ method, storage }) => method === "GET" && storage)
/** A repository's folder in the cache. */
const folderOf = (name = "models--owner--name") => join(cache.hub, name)
const blobs = () => join(folderOf(), "blobs")
const blobOf = ({ content, large }: Served) => join(blobs(), etagOf(content, large))
const leftOvers = () => readdirSync(blobs()).filter((name) => name.endsWith(".incomplete"))
/** Sends `count` bytes of what was requested and hangs up. */
const cut = ({ range }: Seen, response: ServerResponse, { content }: Served, count: number) => {
  const start = Number(/\d+/.exec(range ?? "")?.[0] ?? 0)
  const part = { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` }
  response.writeHead(start > 0 ? 206 : 200, {
    "content-length": content.length - start,
    ...(start > 0 ? part : {}),
  })
  response.write(content.subarray(start, start + count), () => setTimeout(() => response.destroy(), 20))
  return true
}
/** The first `times` transfers from the storage end after `count` bytes. */
const hangUp = (count: number, times: number): Fault => {
  let left = times
  return (request, response, file) => {
    if (request.method !== "GET" || !request.storage || file === undefined || left === 0) return false
    left--
    return cut(request, response, file, count)
  }
}

describe("a download", () => {
  test("fetches a large file from the storage and a small one from the hub, each once", async () => {
    const path = await fetched("model.safetensors")
    expect(contentOf(path)).toEqual(weights.content)
    expect(path).toBe(join(folderOf(), "snapshots", commit, "model.safetensors"))
    expect(readlinkSync(path)).toBe(join("..", "..", "blobs", etagOf(weights.content, true)))
    expect(readFileSync(join(folderOf(), "refs", "main"), "utf8")).toBe(commit)
    expect(contentOf(await fetched("config.json"))).toEqual(config.content)
    expect(contentOf(await fetched("empty.txt"))).toEqual(bytes(0))
    expect(leftOvers()).toEqual([])

    const requests = server.seen.length
    server.close() // a cached file needs no connection
    expect(await fetched("model.safetensors")).toBe(path)
    expect(server.seen.length).toBe(requests)
  })

  test("fetches the content of the commit that the facts describe", async () => {
    await fetched("model.safetensors")
    expect(server.seen.map(({ method, path }) => [method, path.split("/").at(-2)])).toEqual([
      ["HEAD", "main"],
      ["GET", commit],
      ["GET", commit],
    ])
  })

  test("reports its progress, from nothing to all", async () => {
    await fetched("model.safetensors")
    expect(reports[0]).toEqual([0, 3_000_000, "model.safetensors 0.0 of 3.0 MB"])
    expect(reports.at(-1)).toEqual([3_000_000, 3_000_000, "model.safetensors 3.0 of 3.0 MB"])
    expect(reports.length).toBeLessThan(6)
  })

  test("works for datasets, folders in a repository and other revisions", async () => {
    const dataset: Repository = { type: "dataset", id: "owner/name", revision: commit }
    const path = await fetched("rte/train.parquet", 5000, dataset)
    expect(contentOf(path)).toEqual(bytes(5000))
    expect(path).toBe(join(folderOf("datasets--owner--name"), "snapshots", commit, "rte", "train.parquet"))
  })

  test("follows a repository that was renamed", async () => {
    server.break((request, response) => {
      if (!request.path.startsWith("old/")) return false
      response.writeHead(307, { location: `/${request.path.replace("old/", "owner/")}` }).end()
      return true
    })
    const path = await fetched("config.json", 1e6, { ...repository, id: "old/name" })
    expect(contentOf(path)).toEqual(config.content)
  })

  test("sends the token to the hub, never to its storage", async () => {
    process.env.HF_TOKEN = "hf_secret"
    await fetched("model.safetensors")
    for (const { storage, authorization } of server.seen) {
      expect(authorization).toBe(storage ? undefined : "Bearer hf_secret")
    }
    expect(transfers().length).toBe(1)
  })

  test("gets the file whole when several run at once", async () => {
    const paths = await Promise.all([1, 2, 3].map(() => fetched("model.safetensors")))
    expect(new Set(paths).size).toBe(1)
    expect(contentOf(paths[0]!)).toEqual(weights.content)
    expect(leftOvers()).toEqual([])
  })
})

describe("a transfer that is interrupted", () => {
  test("takes the first of several files that the repository has, and requests nothing once one is cached", async () => {
    const first = () =>
      Effect.runPromise(
        downloadFirst(repository, [
          ["vocab.txt", 1e9],
          ["config.json", 1e9],
        ]).pipe(Effect.provide(reporting(reports))),
      )
    expect(contentOf(await first())).toEqual(config.content)
    const requests = server.seen.length
    expect(contentOf(await first())).toEqual(config.content)
    expect(server.seen.length).toBe(requests)
  })

  test("is resumed where it stopped, automatically", async () => {
    server.break(hangUp(1_000_000, 1))
    expect(contentOf(await fetched("model.safetensors"))).toEqual(weights.content)
    const starts = transfers().map(({ range }) => range)
    expect(starts.length).toBe(2)
    expect(starts[0]).toBeUndefined()
    expect(Number(/^bytes=(\d+)-$/.exec(starts[1]!)![1])).toBeGreaterThan(0)
  })

  test("is resumed where it stopped by the next download", async () => {
    server.break((request, response, file) => {
      if (request.method !== "GET" || !request.storage) return false
      response.writeHead(200, { "content-length": file!.content.length })
      response.write(file!.content.subarray(0, 2_000_000)) // and nothing more comes
      return true
    })
    const fiber = Effect.runFork(downloading("model.safetensors"))
    while (!reports.some(([done]) => done > 1e6)) await new Promise((wait) => setTimeout(wait, 5))
    await Effect.runPromise(Fiber.interrupt(fiber))

    server.break(() => false)
    const path = await fetched("model.safetensors")
    expect(contentOf(path)).toEqual(weights.content)
    expect(Number(/\d+/.exec(transfers().at(-1)!.range!)![0])).toBeGreaterThan(1e6)
    expect(leftOvers()).toEqual([])
  })

  test("starts over if the server ignores ranges", async () => {
    let cutOnce = false
    server.break((request, response, file) => {
      if (request.method !== "GET" || !request.storage) return false
      if (!cutOnce) {
        cutOnce = true
        return cut(request, response, file!, 1_000_000)
      }
      response.writeHead(200, { "content-length": file!.content.length }).end(file!.content)
      return true
    })
    expect(contentOf(await fetched("model.safetensors"))).toEqual(weights.content)
  })

  test("starts over if the part that was left is damaged", async () => {
    mkdirSync(blobs(), { recursive: true })
    writeFileSync(`${blobOf(weights)}.incomplete`, bytes(1_000_000, 2))
    expect(contentOf(await fetched("model.safetensors"))).toEqual(weights.content)
    expect(transfers().map(({ range }) => range)).toEqual(["bytes=1000000-", undefined])
    expect(leftOvers()).toEqual([])
  })

  test("takes over what a killed process has left, and removes what is of no use", async () => {
    mkdirSync(blobs(), { recursive: true })
    const left = (blob: string, suffix: string, size: number, age = 0) => {
      const path = `${blob}${suffix}.incomplete`
      writeFileSync(path, weights.content.subarray(0, size))
      const then = Date.now() / 1000 - age
      utimesSync(path, then, then)
      return path
    }
    left(blobOf(weights), ".0123abcd", 1000)
    left(blobOf(weights), ".4567cdef", 2000)
    const day = 24 * 3600
    left(join(blobs(), "of-a-version-of-last-month"), "", 10, 30 * day)
    const young = left(join(blobs(), "of-another-file"), "", 10, day)
    expect(contentOf(await fetched("model.safetensors"))).toEqual(weights.content)
    expect(transfers().map(({ range }) => range)).toEqual(["bytes=2000-"])
    expect(leftOvers()).toEqual([basename(young)])
  })
})

describe("a download is refused", () => {
  test("if the content is not what was announced, and nothing is kept", async () => {
    await serve({
      "owner/name/resolve/main/model.safetensors": { ...weights, announced: bytes(3_000_000, 2) },
      "owner/name/resolve/main/config.json": { ...config, announced: new Uint8Array(config.content.length) },
    })
    expect(await refused("model.safetensors")).toMatch(
      /cannot download hf:\/\/owner\/name@main\/model\.safetensors: its content is not what was announced \(expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}\)/,
    )
    expect(await refused("config.json")).toMatch(/is not what was announced \(expected sha1 [0-9a-f]{40}/)
    expect(readdirSync(blobs())).toEqual([])
    expect(existsSync(join(folderOf(), "snapshots"))).toBe(false)
  })

  test("if it is larger than the limit, before anything is transferred", async () => {
    expect(await refused("model.safetensors", 2_999_999)).toContain(
      "expected at most 2999999 bytes, found 3000000",
    )
    expect(transfers()).toEqual([])
  })

  test("if the server sends more than it announced", async () => {
    server.break((request, response, file) => {
      if (request.method !== "GET" || !request.storage) return false
      response.writeHead(200).end(Buffer.concat([file!.content, file!.content]))
      return true
    })
    expect(await refused("model.safetensors")).toContain("sent more than the 3000000 bytes it announced")
  })

  test.each([
    [
      401,
      {},
      undefined,
      "answered 401. There is no such repository, or it is private: check its name, or set HF_TOKEN",
    ],
    [
      401,
      {},
      "hf_secret",
      "answered 401. The token, of HF_TOKEN or hf auth login, is invalid or may not read this repository",
    ],
    [
      403,
      { "x-error-code": "GatedRepo", "x-error-message": "Access to it is restricted" },
      undefined,
      "answered 403 (Access to it is restricted). Accept the repository's terms on the hub",
    ],
    [
      404,
      { "x-error-code": "RevisionNotFound" },
      undefined,
      "answered 404. The repository has no such branch, tag or commit",
    ],
    [404, {}, undefined, "answered 404. Check the repository, revision and file"],
  ])("if the hub answers %d (%j)", async (status, headers, token, expected) => {
    if (token !== undefined) process.env.HF_TOKEN = token
    server.break((_request, response) => {
      response.writeHead(status, headers).end()
      return true
    })
    const message = await refused("config.json")
    expect(message).toContain(expected)
    expect(message).not.toContain("hf_secret")
    expect(server.seen.length).toBe(1)
  })

  test("if the repository has no such file", async () => {
    expect(await refused("vocab.txt")).toContain(
      "(Entry not found). The repository has no such file at this revision",
    )
  })

  test("if the repository has none of several files, naming all of them", async () => {
    const wanted = downloadFirst(repository, [
      ["a.bin", 1],
      ["b.bin", 1],
    ])
    const { message } = await Effect.runPromise(Effect.flip(wanted.pipe(Effect.provide(reporting(reports)))))
    expect(message).toContain("a.bin or b.bin: ")
    expect(message).toContain("no such file")
  })

  test("if the answer is not a hub's, redirects forever, or redirects to an unsafe address", async () => {
    server.break((_request, response) => {
      response.writeHead(200, { "content-type": "text/html" }).end()
      return true
    })
    expect(await refused("config.json")).toContain(
      "neither the size nor the digest of the file. Check HF_ENDPOINT",
    )
    server.break((request, response) => {
      response.writeHead(302, { location: `/${request.path}` }).end()
      return true
    })
    expect(await refused("config.json")).toContain("more than 5 redirects")
    server.break((_request, response) => {
      response.writeHead(302, { location: "file:///etc/passwd" }).end()
      return true
    })
    expect(await refused("config.json")).toContain("redirects to an unsafe address")
  })

  test("without a connection, at once and with advice; a busy server is tried again", async () => {
    server.break((_request, response) => {
      if (server.seen.length > 1) return false
      response.writeHead(503).end()
      return true
    })
    expect(contentOf(await fetched("config.json"))).toEqual(config.content)
    server.close()
    expect(await refused("model.safetensors")).toMatch(
      /there is no connection to 127\.0\.0\.1:\d+ \(.+\)\. Use a local file or folder, or set HF_ENDPOINT/,
    )
  })

  test("a cached file that was changed is downloaded again", async () => {
    const path = await fetched("config.json")
    writeFileSync(path, '{"hidden_size": 9}\n')
    expect(contentOf(await fetched("config.json"))).toEqual(config.content)
  })
})

describe("the environment", () => {
  test("is checked, and an invalid token is not displayed", async () => {
    process.env.HF_ENDPOINT = "huggingface.co"
    process.env.HF_TOKEN = "hf_secret with a space"
    process.env.XDG_CACHE_HOME = "cache"
    const message = await refused("config.json")
    expect(message).toContain("HF_ENDPOINT must be an address such as https://huggingface.co")
    expect(message).toContain("HF_TOKEN must be a token, without spaces")
    expect(message).toContain('XDG_CACHE_HOME must be an absolute path (was "cache")')
    expect(message).not.toContain("secret")
  })

  test("offline, cached files are found and nothing is requested", async () => {
    await fetched("config.json")
    const requests = server.seen.length
    process.env.HF_HUB_OFFLINE = "1"
    expect(contentOf(await fetched("config.json"))).toEqual(config.content)
    const message = await refused("model.safetensors")
    expect(message).toContain("it is not cached, and HF_HUB_OFFLINE is set")
    expect(server.seen.length).toBe(requests)
    process.env.HF_HUB_OFFLINE = "maybe"
    expect(await refused("config.json")).toContain("HF_HUB_OFFLINE must be 1 or 0")
    process.env.HF_HUB_OFFLINE = "0"
    expect(contentOf(await fetched("model.safetensors"))).toEqual(weights.content)
  })

  test("an empty variable counts as not set, and a mirror's address may end in a slash", async () => {
    process.env.HF_TOKEN = ""
    process.env.HF_ENDPOINT = `${server.endpoint}/`
    expect(contentOf(await fetched("config.json"))).toEqual(config.content)
    expect(server.seen.every(({ authorization }) => authorization === undefined)).toBe(true)
  })
})
