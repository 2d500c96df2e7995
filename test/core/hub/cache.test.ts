/** The layout of Python's huggingface_hub, written here by hand, and what must not leave it. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import { downloadFirst } from "../../../core/hub/download.ts"
import {
  bytes,
  downloaded,
  downloading,
  type Report,
  refusedDownload,
  reporting,
  repository,
} from "./downloading.ts"
import { commit, etagOf, hubServer, type Served } from "./hub-server.ts"
import { inNewCache } from "./in-cache.ts"

const cache = inNewCache()
const weights: Served = { content: bytes(300_000), large: true }
const config: Served = { content: new TextEncoder().encode('{"hidden_size": 8}\n'), large: false }
let server: Awaited<ReturnType<typeof hubServer>>
beforeEach(async () => {
  server = await hubServer({
    "owner/name/resolve/main/model.safetensors": weights,
    "owner/name/resolve/main/config.json": config,
    "owner/name/resolve/main/1_Pooling/config.json": config,
  })
  process.env["HF_ENDPOINT"] = server.endpoint
})
afterEach(() => server.close())

const folder = () => join(cache.hub, "models--owner--name")
const snapshot = (...path: readonly string[]) => join(folder(), "snapshots", commit, ...path)
const blob = ({ content, large }: Served) => join(folder(), "blobs", etagOf(content, large))
const write = (path: string, content: string | Uint8Array) => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}
/** Puts a file into the cache as Python does. */
const cached = (file: Served, name: string, content: Uint8Array = file.content) => {
  write(join(folder(), "refs", "main"), commit)
  write(blob(file), content)
  mkdirSync(dirname(snapshot(name)), { recursive: true })
  symlinkSync(join("..", "..", "blobs", etagOf(file.content, file.large)), snapshot(name))
}
const contentOf = (path: string): Uint8Array => new Uint8Array(readFileSync(path))
const longAgo = (path: string) => utimesSync(path, 1.6e9, 1.6e9)
const gets = () => server.seen.filter(({ method, storage }) => method === "GET" && storage)

describe("a cache of Python's", () => {
  test("is used without a request", async () => {
    cached(weights, "model.safetensors")
    cached(config, "1_Pooling-config.json")
    expect(await downloaded("model.safetensors")).toBe(snapshot("model.safetensors"))
    expect(await downloaded("1_Pooling-config.json")).toBe(snapshot("1_Pooling-config.json"))
    process.env["HF_HUB_OFFLINE"] = "1"
    expect(await downloaded("model.safetensors")).toBe(snapshot("model.safetensors"))
    expect(server.seen).toEqual([])
  })

  test("lies in HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, $HF_HOME/hub or $XDG_CACHE_HOME/huggingface/hub", async () => {
    const places: readonly (readonly [string, string, string])[] = [
      ["HF_HOME", join(cache.root, "home"), join(cache.root, "home", "hub")],
      ["HUGGINGFACE_HUB_CACHE", join(cache.root, "old"), join(cache.root, "old")],
      // Python replaces variables.
      ["HF_HUB_CACHE", "$XDG_CACHE_HOME/new", join(cache.root, "new")],
    ]
    for (const [variable, value, expected] of places) {
      process.env[variable] = value
      expect((await downloaded("config.json")).startsWith(join(expected, "models--owner--name"))).toBe(true)
    }
  })

  test("may be one that is not ours to write to", async () => {
    cached(config, "config.json")
    for (const part of ["snapshots", "blobs", "refs", "."]) chmodSync(join(folder(), part), 0o555)
    try {
      expect(await downloaded("config.json")).toBe(snapshot("config.json"))
    } finally {
      for (const part of [".", "snapshots", "blobs", "refs"]) chmodSync(join(folder(), part), 0o755)
    }
  })

  test("with a link to content that is gone is completed", async () => {
    cached(weights, "model.safetensors")
    rmSync(blob(weights))
    const path = await downloaded("model.safetensors")
    expect(contentOf(path)).toEqual(weights.content)
  })

  test("with the content of another commit, or under another path, needs no transfer", async () => {
    write(blob(weights), weights.content)
    const path = await downloaded("model.safetensors")
    expect(readlinkSync(path)).toBe(join("..", "..", "blobs", etagOf(weights.content, true)))
    expect(gets()).toEqual([])
  })

  test("with blobs in a store that repositories share is used", async () => {
    cached(weights, "model.safetensors")
    const shared = join(cache.hub, "blobs", "ab", "abcd")
    write(shared, weights.content)
    rmSync(blob(weights))
    symlinkSync(join("..", "..", "blobs", "ab", "abcd"), blob(weights))
    expect(contentOf(await downloaded("model.safetensors"))).toEqual(weights.content)
    expect(server.seen).toEqual([])
  })

  test("that knows that a file does not exist is believed; of several files the first that exists is taken", async () => {
    const first = () =>
      Effect.runPromise(
        downloadFirst(repository, [
          ["tokenizer.json", 1e6],
          ["config.json", 1e6],
        ]).pipe(Effect.provide(reporting([]))),
      )
    cached(config, "config.json")
    // Only the hub knows whether there is the first one.
    expect(await first()).toBe(snapshot("config.json"))
    expect(server.seen.map(({ path }) => path)).toEqual([`owner/name/resolve/${commit}/tokenizer.json`])
    expect(existsSync(join(folder(), ".no_exist", commit, "tokenizer.json"))).toBe(true)
    expect(await first()).toBe(snapshot("config.json"))
    expect(server.seen.length).toBe(1)
    expect(await refusedDownload("tokenizer.json")).toContain("has no such file at this revision")
    expect(server.seen.length).toBe(1)
  })

  test("offline, the first of several files that is cached will do", async () => {
    cached(config, "config.json")
    process.env["HF_HUB_OFFLINE"] = "1"
    const path = await Effect.runPromise(
      downloadFirst(repository, [
        ["tokenizer.json", 1e6],
        ["config.json", 1e6],
      ]).pipe(Effect.provide(reporting([]))),
    )
    expect(path).toBe(snapshot("config.json"))
  })

  test("where links cannot be made has the files themselves, which are not downloaded twice", async () => {
    process.env["HF_HUB_DISABLE_SYMLINKS"] = "1"
    const path = await downloaded("model.safetensors")
    expect(path).toBe(snapshot("model.safetensors"))
    expect(lstatSync(path).isFile()).toBe(true)
    expect(readdirSync(join(folder(), "blobs"))).toEqual([])
    await downloaded("model.safetensors")
    expect(gets().length).toBe(1)
    // Its etag is remembered, so that damage is noticed.
    writeFileSync(
      path,
      weights.content.map((byte) => byte ^ 1),
    )
    process.env["HF_HUB_OFFLINE"] = "1"
    expect(await refusedDownload("model.safetensors")).toContain("its content is not what was announced")
  })
})

describe("a damaged file", () => {
  const damaged = weights.content.with(1000, weights.content[1000]! ^ 1)

  test("is kept and reported when offline", async () => {
    cached(weights, "model.safetensors", damaged)
    process.env["HF_HUB_OFFLINE"] = "1"
    const message = await refusedDownload("model.safetensors")
    expect(message).toMatch(/cannot use .*model\.safetensors: its content is not what was announced/)
    expect(message).toContain("Unset HF_HUB_OFFLINE, so that it is downloaded again")
    expect(contentOf(blob(weights))).toEqual(damaged)
  })

  test("is kept until it has been downloaded again", async () => {
    cached(weights, "model.safetensors", damaged)
    server.break(({ method }, response) => {
      if (method === "HEAD") return false
      response.writeHead(403).end()
      return true
    })
    expect(await refusedDownload("model.safetensors")).toContain("answered 403")
    expect(contentOf(blob(weights))).toEqual(damaged)
    server.break(() => false)
    const path = await downloaded("model.safetensors")
    expect(contentOf(path)).toEqual(weights.content)
  })

  test("is noticed whenever it changes, and an intact one is read once", async () => {
    cached(weights, "model.safetensors")
    longAgo(blob(weights))
    const records = () => {
      const folder = join(cache.root, "kasosei", "hub")
      return readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"))
    }
    await downloaded("model.safetensors")
    const before = records()
    expect(before.length).toBe(1)
    expect(before[0]).toContain(etagOf(weights.content, true))
    await downloaded("model.safetensors")
    // Had it been read again, the time would be another.
    expect(records()).toEqual(before)
    writeFileSync(blob(weights), damaged)
    process.env["HF_HUB_OFFLINE"] = "1"
    expect(await refusedDownload("model.safetensors")).toContain("its content is not what was announced")
  })

  test("that is large is said to be read", async () => {
    const large: Served = { content: Buffer.alloc(2 ** 26 + 5, 7), large: true }
    cached(large, "large.bin")
    longAgo(blob(large))
    const reports: Report[] = []
    await downloaded("large.bin", { reports })
    expect(reports.at(-1)).toEqual([2 ** 26 + 5, 2 ** 26 + 5, "large.bin: checking its content"])
    reports.length = 0
    await downloaded("large.bin", { reports })
    expect(reports).toEqual([])
  })
})

describe("a branch or tag", () => {
  test("stands for the commit that the cache knows, though the hub's has moved on", async () => {
    const older = "a".repeat(40)
    write(join(folder(), "refs", "main"), older)
    server.break((request, response) => {
      expect(request.path).toContain(`/${older}/`)
      response.writeHead(404, { "x-error-code": "EntryNotFound", "x-repo-commit": older }).end()
      return true
    })
    expect(await refusedDownload("config.json")).toContain("no such file")
    expect(existsSync(join(folder(), ".no_exist", older, "config.json"))).toBe(true)
  })

  test.each([
    ["feature/x", "feature%2Fx"],
    ["refs/pr/1", "refs%2Fpr%2F1"],
  ])("%s is asked for as %s, and remembered under its name", async (revision, asked) => {
    server.break((request, response) => {
      if (!request.url.includes(`/resolve/${asked}/`)) return false
      const etag = etagOf(config.content, false)
      response
        .writeHead(200, { etag, "x-repo-commit": commit, "content-length": config.content.length })
        .end()
      return true
    })
    await downloaded("config.json", { from: { ...repository, revision } })
    expect(readFileSync(join(folder(), "refs", ...revision.split("/")), "utf8")).toBe(commit)
  })

  test("that is damaged, or no commit, is asked for again", async () => {
    write(join(folder(), "refs", "main"), "../../../elsewhere")
    expect(await downloaded("config.json")).toBe(snapshot("config.json"))
    expect(readFileSync(join(folder(), "refs", "main"), "utf8")).toBe(commit)
  })
})

describe("nothing leaves the cache", () => {
  test.each(["../config.json", "a/../../b", "/etc/passwd", ".hidden", "a//b", "a\\b", "a\0b", ""])(
    "by a path such as %j",
    async (path) => {
      expect(await refusedDownload(path)).toContain("expected a path inside the repository")
      expect(server.seen).toEqual([])
    },
  )

  test.each(['"../../../../evil"', '"a/b"', '".."', '"a b\\u001b[31m"'])(
    "by an etag such as %s",
    async (etag) => {
      server.break((request, response) => {
        if (request.method !== "HEAD") return false
        const facts = { "x-repo-commit": commit, "content-length": config.content.length }
        response.writeHead(200, { etag, ...facts }).end()
        return true
      })
      await downloaded("config.json")
      expect(readdirSync(join(folder(), "blobs")).every((name) => /^etag-[0-9a-f]{64}$/.test(name))).toBe(
        true,
      )
      expect(readdirSync(cache.root).sort()).toEqual(["huggingface", "kasosei"])
    },
  )

  test.each(["../../../evil", "main", "A".repeat(40), "a".repeat(64)])(
    "by a commit such as %s",
    async (given) => {
      server.break((_request, response) => {
        response.writeHead(200, { etag: '"abc"', "x-repo-commit": given, "content-length": 19 }).end()
        return true
      })
      expect(await refusedDownload("config.json")).toContain("no commit of the repository. Check HF_ENDPOINT")
      expect(existsSync(folder())).toBe(false)
    },
  )

  test("by an answer about another commit than the one that was asked for", async () => {
    const asked = { ...repository, revision: "b".repeat(40) }
    server.break((_request, response) => {
      response.writeHead(200, { etag: '"abc"', "x-repo-commit": commit, "content-length": 19 }).end()
      return true
    })
    expect(await refusedDownload("config.json", { from: asked })).toContain(`another commit (${commit})`)
  })

  test.each(["models--owner--name", "models--owner--name/blobs", "models--owner--name/snapshots", ".locks"])(
    "through a link in place of %s",
    async (part) => {
      const outside = join(cache.root, "outside")
      mkdirSync(outside)
      mkdirSync(dirname(join(cache.hub, part)), { recursive: true })
      symlinkSync(outside, join(cache.hub, part))
      const message = await refusedDownload("config.json")
      expect(message).toContain(`it is a symbolic link out of the cache, to ${outside}`)
      expect(message).toContain("set HF_HUB_CACHE to another folder")
      expect(readdirSync(outside)).toEqual([])
    },
  )

  test("through links in place of files", async () => {
    const outside = join(cache.root, "outside")
    writeFileSync(outside, "precious")
    mkdirSync(join(folder(), "refs"), { recursive: true })
    mkdirSync(join(folder(), "blobs"), { recursive: true })
    mkdirSync(dirname(snapshot("config.json")), { recursive: true })
    symlinkSync(outside, join(folder(), "refs", "main"))
    symlinkSync(outside, blob(config))
    symlinkSync(outside, `${blob(config)}.incomplete`)
    symlinkSync(outside, snapshot("config.json"))
    const path = await downloaded("config.json")
    expect(contentOf(path)).toEqual(config.content)
    expect(readFileSync(outside, "utf8")).toBe("precious")
    expect(lstatSync(blob(config)).isFile()).toBe(true)
  })

  test("the cache itself may be a link", async () => {
    mkdirSync(join(cache.root, "large-disk"))
    mkdirSync(dirname(cache.hub), { recursive: true })
    symlinkSync(join(cache.root, "large-disk"), cache.hub)
    expect(existsSync(await downloaded("config.json"))).toBe(true)
  })

  test("a cached file over the limit is refused", async () => {
    cached(weights, "model.safetensors")
    expect(await refusedDownload("model.safetensors", { limit: 1000 })).toContain(
      "expected at most 1000 bytes, found 300000",
    )
  })
})

test("a lock that is not ours to open is named, with what to do", async () => {
  const lock = join(cache.hub, ".locks", "models--owner--name", `${etagOf(config.content, false)}.lock`)
  mkdirSync(lock, { recursive: true })
  const message = await refusedDownload("config.json")
  expect(message).toContain(`cannot lock ${lock}: `)
  expect(message).toContain("Set HF_HUB_CACHE to a folder that you can write to")
})

test("a cache that cannot be written to is named, with what to do", async () => {
  writeFileSync(join(cache.root, "huggingface"), "a file")
  const message = await refusedDownload("config.json")
  expect(message).toContain("Set HF_HUB_CACHE to a folder that you can write to")
})

describe("the token", () => {
  const sent = async () => {
    await Effect.runPromise(Effect.result(downloading("config.json")))
    return server.seen.at(-1)?.authorization
  }
  const home = () => join(cache.root, "huggingface")

  test("of Python's login is sent, unless HF_TOKEN is set or it is not wanted", async () => {
    write(join(home(), "token"), "hf_stored\n")
    expect(await sent()).toBe("Bearer hf_stored")
    rmSync(cache.hub, { recursive: true })
    process.env["HF_TOKEN_PATH"] = join(cache.root, "other")
    write(join(cache.root, "other"), "hf_other")
    expect(await sent()).toBe("Bearer hf_other")
    rmSync(cache.hub, { recursive: true })
    process.env["HF_TOKEN"] = "hf_given"
    expect(await sent()).toBe("Bearer hf_given")
    rmSync(cache.hub, { recursive: true })
    process.env["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"
    expect(await sent()).toBeUndefined()
  })

  test.each([
    ["two lines", "hf_a\nhf_secret\n"],
    ["a large file", "hf_secret".repeat(1000)],
  ])("is not %s, and is not displayed", async (_, content) => {
    write(join(home(), "token"), content)
    const message = await refusedDownload("config.json")
    expect(message).toContain(`${join(home(), "token")}: expected a`)
    expect(message).not.toContain("hf_")
    expect(server.seen).toEqual([])
  })

  test("is not read from a folder or a device", async () => {
    mkdirSync(join(home(), "token"), { recursive: true })
    expect(await refusedDownload("config.json")).toContain("expected a file of at most 4096 bytes")
    process.env["HF_TOKEN_PATH"] = "/dev/zero"
    expect(await refusedDownload("config.json")).toContain("expected a file of at most 4096 bytes")
  })
})
