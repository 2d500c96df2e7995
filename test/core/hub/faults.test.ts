/** A hub that cuts, lies, stalls, refuses and resets: every file is right, or an error says what to do. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs"
import type { ServerResponse } from "node:http"
import { join } from "node:path"
import { Effect, Result } from "effect"
import { waitAskedBy } from "../../../core/hub/request.ts"
import { bytes, downloaded, downloading, type Report, refusedDownload } from "./downloading.ts"
import { commit, etagOf, type Fault, hubServer, type Seen, type Served } from "./hub-server.ts"
import { inNewCache } from "./in-cache.ts"

setDefaultTimeout(120_000)

const cache = inNewCache()
const weights: Served = { content: bytes(200_000), large: true }
const config: Served = { content: bytes(700, 3), large: false }
let server: Awaited<ReturnType<typeof hubServer>>
beforeEach(async () => {
  server = await hubServer({
    "owner/name/resolve/main/model.safetensors": weights,
    "owner/name/resolve/main/config.json": config,
  })
  process.env["HF_ENDPOINT"] = server.endpoint
})
afterEach(() => server.close())

const contentOf = (path: string): Uint8Array => new Uint8Array(readFileSync(path))
const blobs = () => {
  const folder = join(cache.hub, "models--owner--name", "blobs")
  return existsSync(folder) ? readdirSync(folder) : []
}

/** The first `times` requests that `which` selects go wrong. */
const first = (times: number, which: (request: Seen) => boolean, fault: Fault): Fault => {
  let left = times
  return (request, response, file) => {
    if (left === 0 || !which(request)) return false
    left--
    return fault(request, response, file)
  }
}
const isTransfer = ({ method, storage }: Seen) => method === "GET" && storage
const reset: Fault = (_request, response) => {
  response.socket!.resetAndDestroy()
  return true
}
const status =
  (code: number, headers: Readonly<Record<string, string>> = {}): Fault =>
  (_request, response) => {
    response.writeHead(code, headers).end()
    return true
  }

describe("a server that is busy", () => {
  test.each([
    [429, { "retry-after": "3" }, 3000],
    [503, { "retry-after": "0" }, 0],
    [429, { ratelimit: '"api";r=0;t=4' }, 5000],
  ])("with %d and %j is asked again after %d ms", async (code, headers, expected) => {
    const sleeps: number[] = []
    const reports: Report[] = []
    server.break(first(1, () => true, status(code, headers)))
    expect(contentOf(await downloaded("model.safetensors", { sleeps, reports }))).toEqual(weights.content)
    expect(sleeps).toContain(expected)
    expect(reports[0]![2]).toContain(`answered ${code}; again in`)
  })

  test("with a date is asked again then", async () => {
    const sleeps: number[] = []
    const date = new Date(Date.now() + 8000).toUTCString()
    server.break(first(1, isTransfer, status(503, { "retry-after": date })))
    await downloaded("model.safetensors", { sleeps })
    // Less what has gone by since, and the part of the second that the date does not have.
    expect(sleeps.some((pause) => pause > 2000 && pause <= 8000 && pause !== 4000)).toBe(true)
  })

  test("that does not say when is asked again after ever longer pauses, then no more", async () => {
    const sleeps: number[] = []
    server.break(status(500))
    const message = await refusedDownload("config.json", { sleeps })
    expect(message).toContain("answered 500. Try again later")
    expect(server.seen.length).toBe(6)
    // The others are time limits of 30 s.
    expect(sleeps.filter((pause) => pause !== 30_000)).toEqual([500, 1000, 2000, 4000, 8000])
  })

  test("for longer than anyone waits is not waited for", async () => {
    server.break(status(429, { "retry-after": "7200" }))
    expect(await refusedDownload("config.json")).toContain(
      "answered 429. It asks to wait for 2 h: start again then",
    )
    expect(server.seen.length).toBe(1)
  })

  test("how long it asks to wait", () => {
    const now = Date.UTC(2026, 0, 1)
    const asked = (headers: Readonly<Record<string, string>>) => waitAskedBy(new Headers(headers), now)
    expect(asked({ "retry-after": "Thu, 01 Jan 2026 00:01:00 GMT" })).toBe(60_000)
    expect(asked({ "retry-after": "Wed, 31 Dec 2025 00:00:00 GMT" })).toBe(0)
    expect(asked({ "retry-after": " 12 " })).toBe(12_000)
    for (const value of ["", "soon", "-1", "1e9", "Sun, never GMT"]) {
      expect(asked({ "retry-after": value })).toBeUndefined()
    }
    expect(asked({ ratelimit: '"api";r=12;t=55' })).toBeUndefined()
    expect(asked({})).toBeUndefined()
  })
})

describe("a connection", () => {
  test("that is reset before the first answer is made again, for facts and for content", async () => {
    server.break(first(2, ({ method }) => method === "HEAD", reset))
    expect(contentOf(await downloaded("config.json"))).toEqual(config.content)
    server.break(first(2, isTransfer, reset))
    expect(contentOf(await downloaded("model.safetensors"))).toEqual(weights.content)
  })

  test("that is always reset is given up, with what to do", async () => {
    server.break(reset)
    expect(await refusedDownload("config.json")).toMatch(
      /there is no connection to 127\.0\.0\.1:\d+ \(.+\)\. Use a local file or folder, or set HF_ENDPOINT/,
    )
    expect(server.seen.length).toBe(6)
  })

  test("that stalls, before or in the middle of a transfer, is made again and resumed", async () => {
    const stall: Fault = () => true
    const stallHalfWay: Fault = (_request, response, file) => {
      response.writeHead(200, { "content-length": file!.content.length })
      response.write(file!.content.subarray(0, 100_000))
      return true
    }
    let transfers = 0
    server.break((request, response, file) => {
      if (!isTransfer(request)) return false
      transfers++
      if (transfers > 2) return false
      return (transfers === 1 ? stall : stallHalfWay)(request, response, file)
    })
    expect(contentOf(await downloaded("model.safetensors"))).toEqual(weights.content)
    expect(server.seen.filter(isTransfer).map(({ range }) => range)).toEqual([
      undefined,
      undefined,
      "bytes=100000-",
    ])
  })

  test("that is refused in the middle of a download is made again", async () => {
    let lost = 0
    server.break((request, response, file) => {
      if (request.storage) return false
      if (request.method === "HEAD" || lost === 2) return false
      if (lost++ === 0) {
        // Nobody listens at the discard port.
        response.writeHead(302, { location: "http://127.0.0.1:9/" }).end()
        return true
      }
      return cut(request, response, file!, 1000)
    })
    expect(contentOf(await downloaded("model.safetensors"))).toEqual(weights.content)
    expect(lost).toBe(2)
  })

  test("that ends early as often as it likes is resumed as long as bytes come", async () => {
    let cuts = 0
    server.break((request, response, file) => {
      if (!isTransfer(request)) return false
      const start = startOf(request)
      if (file!.content.length - start <= 10_000) return false
      cuts++
      return cut(request, response, file!, 10_000)
    })
    expect(contentOf(await downloaded("model.safetensors"))).toEqual(weights.content)
    expect(cuts).toBeGreaterThan(12)
  })
})

const startOf = ({ range }: Seen): number => Number(/\d+/.exec(range ?? "")?.[0] ?? 0)

/** Sends `count` bytes of what was asked for and hangs up. */
const cut = (request: Seen, response: ServerResponse, { content }: Served, count: number): boolean => {
  const start = startOf(request)
  const part = { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` }
  response.writeHead(start > 0 ? 206 : 200, {
    "content-length": content.length - start,
    ...(start > 0 ? part : {}),
  })
  response.write(content.subarray(start, start + count), () => setTimeout(() => response.destroy(), 5))
  return true
}

describe("a server that lies", () => {
  const sending = (content: Uint8Array, headers: Readonly<Record<string, string | number>> = {}) => {
    server.break((request, response) => {
      if (!isTransfer(request)) return false
      response.writeHead(200, { "content-length": content.length, ...headers }).end(content)
      return true
    })
  }

  test("about the size or the content is named, and nothing is kept", async () => {
    sending(weights.content.subarray(0, 150_000))
    expect(await refusedDownload("model.safetensors")).toContain("closed after 150000 of 200000 bytes")
    sending(Buffer.concat([weights.content, weights.content]))
    expect(await refusedDownload("model.safetensors")).toContain("more than the 200000 bytes it announced")
    sending(weights.content.with(5, 0xff))
    expect(await refusedDownload("model.safetensors")).toMatch(
      /its content is not what was announced .+ Try again, or set another HF_ENDPOINT/,
    )
    expect(existsSync(join(cache.hub, "models--owner--name", "snapshots"))).toBe(false)
    server.break(() => false)
    expect(contentOf(await downloaded("model.safetensors"))).toEqual(weights.content)
    expect(blobs()).toEqual([etagOf(weights.content, true)])
  })

  test.each([
    ["another part than the one that was asked for", 206, { "content-range": "bytes 5-9/200000" }],
    ["no part at all", 206, {}],
    ["that there is no such part", 416, {}],
  ])("by sending %s gets asked for all of it", async (_, code, headers) => {
    let cutOnce = false
    server.break((request, response, file) => {
      if (!isTransfer(request)) return false
      if (!cutOnce) {
        cutOnce = true
        return cut(request, response, file!, 50_000)
      }
      if (startOf(request) === 0) return false
      response.writeHead(code, headers).end("wrong")
      return true
    })
    expect(contentOf(await downloaded("model.safetensors"))).toEqual(weights.content)
  })

  test("about the size in its facts is not believed", async () => {
    for (const size of ["-1", "1e3", "", "99999999999999999999", "0x10"]) {
      server.break(
        status(302, {
          location: "/elsewhere",
          "x-repo-commit": commit,
          "x-linked-etag": '"abc"',
          "x-linked-size": size,
        }),
      )
      expect(await refusedDownload("model.safetensors")).toContain("neither the size nor the digest")
    }
  })

  test("about a size that no disk has is told so before anything is transferred", async () => {
    server.break((request, response) => {
      if (request.method !== "HEAD") return false
      const facts = { "x-repo-commit": commit, "x-linked-etag": '"abc"', "x-linked-size": 2 ** 52 }
      response.writeHead(302, { location: "/elsewhere", ...facts }).end()
      return true
    })
    expect(await refusedDownload("model.safetensors", { limit: 2 ** 53 })).toMatch(
      /expected 4\.5 PB of free disk space, found .+B\. Free some, or set HF_HUB_CACHE to a folder on another disk/,
    )
    expect(server.seen.length).toBe(1)
    expect(blobs()).toEqual([])
  })

  test("in words for a terminal shows them as text", async () => {
    server.break(status(403, { "x-error-message": "\u00e9\u009b31m evil" }))
    const message = await refusedDownload("config.json")
    expect(message).toContain("answered 403")
    expect(message).not.toMatch(/\p{Cc}/u)
  })
})

/** mulberry32: numbers in [0, 1) that follow from the seed. */
const randomFrom = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

/** How often a hub goes wrong at random; more in a long run. */
const rounds = Number(process.env["HUB_FAULTS"] ?? 40)

test(
  `${rounds} downloads from a hub that goes wrong at random are right, or say what to do`,
  async () => {
    let [right, wrong] = [0, 0]
    for (let seed = 1; seed <= rounds; seed++) {
      const random = randomFrom(seed)
      const below = (count: number) => Math.floor(random() * count)
      const chance = random()
      server.break((request, response, file) => {
        if (random() > chance) return false
        const { content } = file!
        const faults: readonly (() => boolean)[] = [
          () => reset(request, response, file),
          () =>
            status([429, 500, 502, 503, 504, 408][below(6)]!, { "retry-after": `${below(3)}` })(
              request,
              response,
              file,
            ),
          () => status([403, 404, 410, 418][below(4)]!)(request, response, file),
          ...(request.method === "HEAD"
            ? []
            : [
                () => cut(request, response, file!, below(content.length)),
                () => cut(request, response, file!, below(content.length)),
                () => cut(request, response, file!, below(content.length)),
                // One bit is wrong.
                () => {
                  const at = below(content.length)
                  response.writeHead(200).end(content.with(at, content[at]! ^ (1 << below(8))))
                  return true
                },
                // Ends early as if it were whole.
                () => {
                  response.writeHead(200).end(content.subarray(0, below(content.length)))
                  return true
                },
                () => {
                  response.writeHead(200).end(Buffer.concat([content, Buffer.alloc(1 + below(1000))]))
                  return true
                },
              ]),
        ]
        return faults[below(faults.length)]!()
      })
      const path = random() < 0.5 ? "model.safetensors" : "config.json"
      const expected = path === "config.json" ? config.content : weights.content
      const askers = Array.from({ length: 1 + below(3) }, () => Effect.result(downloading(path)))
      for (const result of await Effect.runPromise(Effect.all(askers, { concurrency: "unbounded" }))) {
        if (Result.isSuccess(result)) {
          right++
          expect(contentOf(result.success)).toEqual(expected)
        } else {
          wrong++
          // What was found, and what to do.
          const { message } = result.failure
          expect(message).toMatch(/^cannot download hf:\/\/owner\/name@main\/[^ ]+: .+\. [A-Z].+/)
        }
      }
      server.break(() => false)
      expect(contentOf(await downloaded(path))).toEqual(expected)
      expect(blobs().filter((name) => name.endsWith(".incomplete"))).toEqual([])
      rmSync(cache.hub, { recursive: true })
    }
    expect(right).toBeGreaterThan(rounds / 4)
    expect(wrong).toBeGreaterThan(0)
  },
  60_000 + 1000 * rounds,
)
