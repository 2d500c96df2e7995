import { afterAll, beforeAll, expect, setDefaultTimeout, setSystemTime, test } from "bun:test"
import { spawnSync } from "node:child_process"
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { contentDigest, editedPath } from "../../../core/engine/content-digest.ts"
import { cacheDigest, cachedDigest, stampOf } from "../../../core/engine/digest-cache.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

let root: string
const cacheHome = process.env["XDG_CACHE_HOME"]
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-content-"))
  process.env["XDG_CACHE_HOME"] = join(root, "cache")
})
afterAll(() => {
  if (cacheHome === undefined) delete process.env["XDG_CACHE_HOME"]
  else process.env["XDG_CACHE_HOME"] = cacheHome
  rmSync(root, { recursive: true, force: true })
})

const file = (name: string, text: string): string => {
  writeFileSync(join(root, name), text)
  return join(root, name)
}

const folder = (name: string, files: Readonly<Record<string, string>>): string => {
  mkdirSync(join(root, name))
  for (const [child, text] of Object.entries(files)) file(join(name, child), text)
  return join(root, name)
}

test("the digest of a file depends on its content alone, that of a folder on names and content", () => {
  expect(contentDigest(file("a.txt", "text"))).toBe(contentDigest(file("b.txt", "text")))
  expect(contentDigest(file("c.txt", "texts"))).not.toBe(contentDigest(file("d.txt", "text")))
  const same = contentDigest(folder("e", { "1": "x", "2": "y" }))
  expect(contentDigest(folder("f", { "2": "y", "1": "x" }))).toBe(same)
  expect(contentDigest(folder("g", { "1": "x", "3": "y" }))).not.toBe(same)
  expect(contentDigest(folder("h", { "1": "y", "2": "x" }))).not.toBe(same)
  mkdirSync(join(root, "i", "1"), { recursive: true })
  mkdirSync(join(root, "j", "1"), { recursive: true })
  file("i/1/2", "x")
  file("j/2", "x")
  expect(contentDigest(join(root, "i"))).not.toBe(contentDigest(join(root, "j")))
})

/** A file of 64 MiB and a little more, empty but for its beginning and its end. */
const large = (name: string, first: string, last: string): string => {
  const path = file(name, first)
  truncateSync(path, 2 ** 26 + 100)
  appendFileSync(path, last)
  return path
}

/** Writes at a place in a file, and leaves its size and the time of its last change as they were. */
const patch = (path: string, at: number, text: string): void => {
  const { atime, mtime } = statSync(path)
  const opened = openSync(path, "r+")
  writeSync(opened, text, at)
  closeSync(opened)
  utimesSync(path, atime, mtime)
}

test("the digest of a large file depends on every byte", () => {
  const told: (readonly [string, number, number])[] = []
  const path = large("large-1", "first", "last")
  const digest = contentDigest(path, (...progress) => told.push(progress))
  expect(told.at(-1)).toEqual([path, 2 ** 26 + 104, 2 ** 26 + 104])
  expect(contentDigest(large("large-2", "first", "last"))).toBe(digest)
  const patched = large("large-3", "first", "last")
  patch(patched, 12_345_678, "x")
  expect(contentDigest(patched)).not.toBe(digest)
  expect(contentDigest(large("large-4", "first", "at last"))).not.toBe(digest)
})

test("the digest of a large file is kept until the file changes", () => {
  const cache = join(root, "cache", "kasosei", "content-digests.json")
  const path = large("large-5", "first", "last")
  const digest = contentDigest(path)
  // It was written a moment ago.
  expect(existsSync(cache)).toBe(false)
  setSystemTime(new Date(Date.now() + 60_000))
  try {
    // Another spelling, since a process reads each path once.
    const again = (dots: number) => contentDigest(`${root}${"/.".repeat(dots)}/large-5`)
    const read: string[] = []
    const reading = (path: string) => read.push(path)
    expect(contentDigest(`${root}/./large-5`, reading)).toBe(digest)
    expect(read.length).toBeGreaterThan(1)
    expect(Object.keys(JSON.parse(readFileSync(cache, "utf8")))).toEqual([path])
    read.length = 0
    expect(contentDigest(`${root}/././large-5`, reading)).toBe(digest)
    expect(read).toEqual([])
    patch(path, 12_345_678, "x")
    const patched = again(3)
    expect(patched).not.toBe(digest)
    writeFileSync(cache, '{ "damaged": ')
    expect(again(4)).toBe(patched)
    writeFileSync(cache, JSON.stringify({ [path]: { stamp: "1 2 3", digest: "not a digest" } }))
    expect(again(5)).toBe(patched)
    expect(readdirSync(join(root, "cache", "kasosei"))).toEqual(["content-digests.json"])
  } finally {
    setSystemTime()
  }
})

test("a digest is trusted only for the same file, size and times, long enough after they last changed", () => {
  const stat = statSync(file("stamped", "text"), { bigint: true })
  const then = Number(stat.ctimeNs / 1_000_000n)
  expect(stampOf(stat)).toBeUndefined()
  setSystemTime(new Date(then + 4000))
  expect(stampOf(stat)).toBeUndefined()
  setSystemTime(new Date(then + 6000))
  const stamp = stampOf(stat)!
  const others = { ino: stat.ino + 1n, size: 5n, mtimeNs: stat.mtimeNs - 1n, ctimeNs: stat.ctimeNs - 1n }
  for (const [field, value] of Object.entries(others)) {
    const other = Object.assign(statSync(join(root, "stamped"), { bigint: true }), { [field]: value })
    expect(stampOf(other)).not.toBe(stamp)
  }
  setSystemTime()
})

test("the cache is bounded, and forgets what was read longest ago", () => {
  const digest = "0".repeat(64)
  const full = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`/${i}`, { stamp: "a", digest }]))
  writeFileSync(join(root, "cache", "kasosei", "content-digests.json"), JSON.stringify(full))
  cacheDigest("/0", "b", digest)
  cacheDigest("/new", "c", digest)
  expect(["/0", "/1", "/2", "/new"].map((path) => cachedDigest(path, path === "/0" ? "b" : "a"))).toEqual([
    digest,
    undefined,
    digest,
    undefined,
  ])
  expect(cachedDigest("/new", "c")).toBe(digest)
})

test("no cache folder is no error", () => {
  process.env["XDG_CACHE_HOME"] = file("not-a-folder", "")
  cacheDigest("/a", "a", "0".repeat(64))
  expect(cachedDigest("/a", "a")).toBeUndefined()
  process.env["XDG_CACHE_HOME"] = join(root, "cache")
})

test("the path that was edited since its digest was made is named", async () => {
  const paths = [file("kept", "one"), folder("edited", { "1": "one" })]
  const found = Object.fromEntries(paths.map((path) => [path, contentDigest(path)]))
  expect(await Effect.runPromise(editedPath(found))).toBeUndefined()
  file("edited/2", "two")
  expect(await Effect.runPromise(editedPath(found))).toBe(paths[1])
  rmSync(paths[0]!)
  const { message } = await Effect.runPromise(Effect.flip(editedPath(found)))
  expect(message).toContain(`cannot read ${paths[0]}`)
})

test("the error names the file that cannot be read, even inside a folder", () => {
  const within = folder("links", {})
  symlinkSync("nowhere", join(within, "link"))
  symlinkSync("loop", join(root, "loop"))
  const digesting = (path: string) => expect(() => contentDigest(path))
  digesting(join(root, "absent")).toThrow(`cannot read ${root}/absent: there is no such file or folder`)
  digesting(join(file("plain", ""), "x")).toThrow(
    `cannot read ${root}/plain/x: expected a folder, but part of the path is a file`,
  )
  digesting(within).toThrow(`cannot read ${root}/links/link: there is no such file or folder`)
  digesting(join(root, "loop")).toThrow(`cannot read ${root}/loop: its symbolic links form a loop`)
})

test("a device is refused rather than read forever", () => {
  expect(() => contentDigest("/dev/zero")).toThrow(
    "cannot read /dev/zero: expected a file or a folder, found a pipe or a device",
  )
})

test.skipIf(Bun.which("mkfifo") === null)("a pipe is refused rather than waited for", () => {
  const pipe = join(root, "pipe")
  expect(spawnSync("mkfifo", [pipe]).status).toBe(0)
  expect(() => contentDigest(pipe)).toThrow(
    `cannot read ${pipe}: expected a file or a folder, found a pipe or a device`,
  )
})
