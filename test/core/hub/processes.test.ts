/** Several processes on one cache, Python's huggingface_hub among them where there is one. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs"
import type { ServerResponse } from "node:http"
import { join } from "node:path"
import { tryLock } from "../../../core/io/file-lock.ts"
import { bytes, downloaded, type Report, refusedDownload } from "./downloading.ts"
import { etagOf, hubServer, type Served } from "./hub-server.ts"
import { skipTime } from "./hurried.ts"
import { inNewCache } from "./in-cache.ts"

setDefaultTimeout(120_000)

const cache = inNewCache()
const weights: Served = { content: bytes(2_000_000), large: true }
const config: Served = { content: new TextEncoder().encode('{"hidden_size": 8}\n'), large: false }
let server: Awaited<ReturnType<typeof hubServer>>
let children: ChildProcess[]
beforeEach(async () => {
  server = await hubServer({
    "owner/name/resolve/main/model.safetensors": weights,
    "owner/name/resolve/main/config.json": config,
  })
  process.env["HF_ENDPOINT"] = server.endpoint
  children = []
})
afterEach(() => {
  for (const child of children) child.kill("SIGKILL")
  server.close()
})

const started = (command: string, args: readonly string[]) => {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] })
  children.push(child)
  let output = ""
  let errors = ""
  child.stdout!.on("data", (chunk) => {
    output += chunk
  })
  child.stderr!.on("data", (chunk) => {
    errors += chunk
  })
  const ended = new Promise<string>((done, fail) =>
    child.on("close", (code) => (code === 0 ? done(output) : fail(new Error(`exit ${code}: ${errors}`)))),
  )
  // A test that kills it does not wait for it.
  ended.catch(() => {})
  return { child, ended }
}
const ours = (path: string) =>
  started(process.execPath, [join(import.meta.dir, "downloading.process.ts"), path])
const resultOf = async ({ ended }: ReturnType<typeof ours>) =>
  JSON.parse(await ended) as { path: string; waited: boolean }

const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((wait) => setTimeout(wait, 10))
}
const gets = () => server.seen.filter(({ method, storage }) => method === "GET" && storage)
const heads = () => server.seen.filter(({ method, storage }) => method === "HEAD" && !storage)
const blobs = () => join(cache.hub, "models--owner--name", "blobs")
const contentOf = (path: string): Uint8Array => new Uint8Array(readFileSync(path))

/** Transfers stop half-way until they are released. */
const holding = () => {
  const held: (() => void)[] = []
  let open = false
  server.break((request, response: ServerResponse, file) => {
    if (request.method !== "GET" || !request.storage || open) return false
    const { content } = file!
    const start = Number(/\d+/.exec(request.range ?? "")?.[0] ?? 0)
    const part = { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` }
    response.writeHead(start > 0 ? 206 : 200, {
      "content-length": content.length - start,
      ...(start > 0 ? part : {}),
    })
    const half = start + (content.length - start) / 2
    response.write(content.subarray(start, half))
    held.push(() => response.end(content.subarray(half)))
    return true
  })
  return () => {
    open = true
    for (const release of held) release()
  }
}

describe("several processes", () => {
  test("download a file once, however many ask", async () => {
    const release = holding()
    const first = ours("model.safetensors")
    await until(() => gets().length === 1)
    const others = [ours("model.safetensors"), ours("model.safetensors")]
    await until(() => heads().length === 3)
    release()
    const results = await Promise.all([first, ...others].map(resultOf))
    expect(new Set(results.map(({ path }) => path)).size).toBe(1)
    expect(results.map(({ waited }) => waited)).toEqual([false, true, true])
    expect(contentOf(results[0]!.path)).toEqual(weights.content)
    expect(gets().length).toBe(1)
    expect(readdirSync(blobs())).toEqual([etagOf(weights.content, true)])
  })

  test("of which one is killed: another resumes what it left", async () => {
    const release = holding()
    const first = ours("model.safetensors")
    const partial = () => readdirSync(blobs()).filter((name) => name.endsWith(".incomplete"))
    await until(() => gets().length === 1 && partial().length === 1)
    await until(() => contentOf(join(blobs(), partial()[0]!)).length === 1_000_000)
    const reports: Report[] = []
    const waiting = downloaded("model.safetensors", { reports })
    await until(() => reports.length > 0)
    expect(reports[0]).toEqual([
      1_000_000,
      2_000_000,
      "model.safetensors: another process downloads it, 1.0 of 2.0 MB",
    ])
    first.child.kill("SIGKILL")
    release()
    expect(contentOf(await waiting)).toEqual(weights.content)
    expect(readdirSync(blobs())).toEqual([etagOf(weights.content, true)])
  })
})

test("whoever has the lock but has downloaded nothing for long is not waited for", async () => {
  const etag = etagOf(weights.content, true)
  const locks = join(cache.hub, ".locks", "models--owner--name")
  mkdirSync(locks, { recursive: true })
  mkdirSync(blobs(), { recursive: true })
  const partial = join(blobs(), `${etag}.0123abcd.incomplete`)
  writeFileSync(partial, weights.content.subarray(0, 1000))
  const fd = openSync(join(locks, `${etag}.lock`), "w")
  expect(tryLock(fd, "exclusive")).toBe("locked")
  try {
    const reports: Report[] = []
    const download = downloaded("model.safetensors", { reports })
    await until(() => reports.length > 3)
    expect(gets()).toEqual([])
    const before = Date.now() / 1000 - 16 * 60
    utimesSync(partial, before, before)
    skipTime(16 * 60 * 1000)
    expect(contentOf(await download)).toEqual(weights.content)
    expect(gets().map(({ range }) => range)).toEqual(["bytes=1000-"])
  } finally {
    closeSync(fd)
  }
})

/** A Python that has huggingface_hub: `PYTHON` names another than `python3`. */
const python = process.env["PYTHON"] ?? "python3"
const havePython = spawnSync(python, ["-c", "import huggingface_hub"]).status === 0

describe.skipIf(!havePython)("Python's huggingface_hub", () => {
  const theirs = (path: string, options = "") => {
    const download = `hf_hub_download("owner/name", "${path}"${options})`
    return started(python, ["-c", `from huggingface_hub import hf_hub_download; print(${download}, end="")`])
  }

  test("downloads what we use", async () => {
    const paths = [await theirs("model.safetensors").ended, await theirs("config.json").ended]
    await expect(theirs("vocab.txt").ended).rejects.toThrow("Entry Not Found")
    const requests = server.seen.length
    expect([await downloaded("model.safetensors"), await downloaded("config.json")]).toEqual(paths)
    expect(await refusedDownload("vocab.txt")).toContain("no such file")
    expect(server.seen.length).toBe(requests)
    expect(contentOf(paths[0]!)).toEqual(weights.content)
  })

  test("uses what we download", async () => {
    const paths = [await downloaded("model.safetensors"), await downloaded("config.json")]
    await refusedDownload("vocab.txt")
    server.close()
    const only = ", local_files_only=True"
    expect([await theirs("model.safetensors", only).ended, await theirs("config.json", only).ended]).toEqual(
      paths,
    )
    const scan = [
      "from huggingface_hub import scan_cache_dir, try_to_load_from_cache, _CACHED_NO_EXIST",
      'print(try_to_load_from_cache("owner/name", "vocab.txt") is _CACHED_NO_EXIST)',
      "cache = scan_cache_dir()",
      "print(cache.warnings, [(r.repo_id, r.size_on_disk, sorted(r.refs)) for r in cache.repos])",
    ].join("\n")
    expect(await started(python, ["-c", scan]).ended).toBe(
      `True\n[] [('owner/name', ${weights.content.length + config.content.length}, ['main'])]\n`,
    )
  })

  test("waits for our download", async () => {
    const release = holding()
    const first = ours("model.safetensors")
    await until(() => gets().length === 1)
    const second = theirs("model.safetensors")
    await until(() => heads().length === 2)
    // If it did not wait, it would ask for the content now.
    await new Promise((wait) => setTimeout(wait, 300))
    release()
    expect(await second.ended).toBe((await resultOf(first)).path)
    expect(gets().length).toBe(1)
    expect(readdirSync(blobs())).toEqual([etagOf(weights.content, true)])
  })

  test("is waited for", async () => {
    const release = holding()
    const first = theirs("model.safetensors")
    await until(() => gets().length === 1)
    const reports: Report[] = []
    const second = downloaded("model.safetensors", { reports })
    await until(() => reports.length > 0)
    release()
    expect(await second).toBe(await first.ended)
    expect(reports[0]![2]).toContain("another process downloads it")
    expect(gets().length).toBe(1)
  })
})
