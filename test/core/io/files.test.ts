import { afterEach, beforeEach, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { readText, replaceFolder, restoreReplaced, writeFile, writeFolder } from "../../../core/io/files.ts"
import { mayMount, smallDisk } from "../../small-disk.ts"

let root: string
beforeEach(async () => {
  root = await fs.mkdtemp(join(tmpdir(), "kasosei-files-"))
})
afterEach(() => fs.rm(root, { recursive: true, force: true }))

const run = <A, E>(effect: Effect.Effect<A, E>) => Effect.runPromise(effect)
const fill = (text: string) => (folder: string) => writeFile(join(folder, "sub", "a"), text)
const textIn = (folder: string) => fs.readFile(join(folder, "sub", "a"), "utf8")

test("a folder that is there is kept by writeFolder and replaced by replaceFolder; nothing else is left", async () => {
  const folder = join(root, "one", "two")
  await run(writeFolder(folder, fill("first")))
  await run(writeFolder(folder, fill("second")))
  expect(await textIn(folder)).toBe("first")
  await run(replaceFolder(folder, fill("third"), join(root, "tmp", "third")))
  expect(await textIn(folder)).toBe("third")
  expect((await fs.readdir(root, { recursive: true })).sort()).toEqual(
    ["one", "one/two", "one/two/sub", "one/two/sub/a", "tmp"].sort(),
  )
})

test("a folder whose successor cannot be written stays as it is", async () => {
  const folder = join(root, "folder")
  await run(writeFolder(folder, fill("first")))
  const error = await run(
    Effect.flip(
      replaceFolder(folder, (to) => Effect.andThen(fill("second")(to), readText(join(to, "none")))),
    ),
  )
  expect(error.message).toContain("there is no such file")
  expect(await textIn(folder)).toBe("first")
  expect(await fs.readdir(root)).toEqual(["folder"])
})

test("of many who replace a folder at once, each succeeds, and it is always there or put back", async () => {
  const folder = join(root, "folder")
  await run(writeFolder(folder, fill("0")))
  const each = Array.from({ length: 8 }, (_, i) =>
    Effect.andThen(replaceFolder(folder, fill(String(i))), restoreReplaced(root)),
  )
  await run(Effect.all(each, { concurrency: "unbounded" }))
  expect(await textIn(folder)).toMatch(/^[0-7]$/)
  expect(await fs.readdir(root)).toEqual(["folder"])
})

const replacing = fileURLToPath(new URL("replacing.process.ts", import.meta.url))

test("a process that is killed before any step of replacing a folder loses nothing", async () => {
  const seen = new Set<string>()
  for (let step = 0; ; step++) {
    const folder = join(root, String(step), "folder")
    await run(writeFolder(folder, fill("old")))
    const child = spawnSync(process.execPath, [replacing, folder, String(step)])
    expect(String(child.stderr)).toBe("")
    await run(restoreReplaced(join(root, String(step))))
    const text = await textIn(folder)
    seen.add(text)
    expect(["old", "new"]).toContain(text)
    const left = (await fs.readdir(join(root, String(step)))).filter((name) => name !== "folder")
    for (const name of left) expect(name).toEndWith(".tmp")
    if (child.signal === null) {
      expect([text, left]).toEqual(["new", []])
      // Making, writing, flushing, two renames, flushing, removing.
      expect(step).toBeGreaterThan(8)
      break
    }
    expect(child.signal).toBe("SIGKILL")
  }
  expect([...seen].sort()).toEqual(["new", "old"])
}, 120_000)

test.skipIf(!mayMount)("a full disk is an error that says so, and what was there stays", async () => {
  const disk = smallDisk(200)!
  const root = disk.folder
  try {
    const folder = join(root, "disk", "folder")
    await fs.mkdir(join(root, "disk"), { recursive: true })
    await run(writeFolder(folder, fill("good")))
    const large = "x".repeat(300_000)
    const errors = [replaceFolder(folder, fill(large)), writeFile(join(folder, "sub", "a"), large)]
    for (const write of errors) expect((await run(Effect.flip(write))).message).toContain("the disk is full")
    expect(await textIn(folder)).toBe("good")
    expect((await fs.readdir(root, { recursive: true })).sort()).toEqual(
      ["disk", "disk/folder", "disk/folder/sub", "disk/folder/sub/a"].sort(),
    )
  } finally {
    disk.remove()
  }
})
