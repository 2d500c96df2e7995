import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { contentDigest } from "../../../core/engine/content-digest.ts"

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-content-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

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
})

test("the digest of a large file depends on its size, its beginning and its end", () => {
  const large = (name: string, first: string, last: string) => {
    const path = file(name, first)
    truncateSync(path, 2 ** 26 + 100)
    appendFileSync(path, last)
    return contentDigest(path)
  }
  const digest = large("large-1", "first", "last")
  expect(large("large-2", "first", "last")).toBe(digest)
  expect(large("large-3", "fjrst", "last")).not.toBe(digest)
  expect(large("large-4", "first", "lost")).not.toBe(digest)
  expect(large("large-5", "first", "at last")).not.toBe(digest)
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
