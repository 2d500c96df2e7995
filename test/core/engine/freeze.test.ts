import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { Effect } from "effect"
import { freeze, isWholeCopy } from "../../../core/engine/freeze.ts"

let project: string
let lines: string[]
beforeEach(async () => {
  lines = []
  project = await fs.mkdtemp(join(tmpdir(), "kasosei-freeze-"))
  write("package.json", "{}")
  write("pipelines/study.ts", "export default 1")
  write("node_modules/effect/index.js", "installed")
})
afterEach(() => fs.rm(project, { recursive: true, force: true }))

const write = (path: string, content: string) => {
  mkdirSync(dirname(join(project, path)), { recursive: true })
  writeFileSync(join(project, path), content)
}
const frozen = (out = "out") =>
  Effect.runPromise(freeze(join(project, out), project, (line) => lines.push(line)))
const filesOf = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules"))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()

test("a copy has the sources as they were, and reaches the packages", async () => {
  write("plugins/probe/mine.ts", "export const mine = 1")
  const folder = await frozen()
  write("plugins/probe/mine.ts", "export const mine = 2")
  expect(readFileSync(join(folder, "plugins/probe/mine.ts"), "utf8")).toBe("export const mine = 1")
  expect(readFileSync(join(folder, "node_modules/effect/index.js"), "utf8")).toBe("installed")
})

test("equal sources have one copy, others have another, and both stay", async () => {
  const first = await frozen()
  expect(await frozen()).toBe(first)
  write("pipelines/study.ts", "export default 2")
  const second = await frozen()
  expect(second).not.toBe(first)
  write("pipelines/study.ts", "export default 1")
  expect(await frozen()).toBe(first)
  expect(readdirSync(dirname(first)).length).toBe(2)
})

test("a copy that was edited is set aside, and made anew", async () => {
  const folder = await frozen()
  writeFileSync(join(folder, "pipelines/study.ts"), "export default 3")
  expect(await frozen()).toBe(folder)
  expect(lines).toEqual([
    expect.stringMatching(/^damaged: .*: the copy of the code was changed; set aside in /),
  ])
  expect(readFileSync(join(folder, "pipelines/study.ts"), "utf8")).toBe("export default 1")
  const edited = filesOf(join(project, "out", "damaged")).find((path) => path.endsWith("study.ts"))
  expect(readFileSync(join(project, "out", "damaged", edited!), "utf8")).toBe("export default 3")
})

test("a copy is not run with the packages of another project, or of the same one in another place", async () => {
  const first = await frozen()
  const moved = `${project}-moved`
  await fs.rename(project, moved)
  try {
    const out = join(moved, "out")
    const second = await Effect.runPromise(freeze(out, moved, () => {}))
    expect(basename(second)).not.toBe(basename(first))
    expect(readFileSync(join(second, "node_modules/effect/index.js"), "utf8")).toBe("installed")
    // The link of the first one leads nowhere now, but it is as it was made.
    for (const copy of readdirSync(join(out, "launches", "code")))
      expect(await isWholeCopy(join(out, "launches", "code", copy))).toBe(true)
  } finally {
    await fs.rm(moved, { recursive: true })
  }
})

test("a project may have folders of the names that a store has, but cannot be one", async () => {
  write("artifacts/first.ts", "export {}")
  write("sources/second.ts", "export {}")
  expect(filesOf(await frozen())).toEqual([
    "artifacts/first.ts",
    "package.json",
    "pipelines/study.ts",
    "sources/second.ts",
  ])
  const error = await Effect.runPromise(Effect.flip(freeze(project, project, () => {})))
  expect(error.message).toContain("holds both the sources and what is made, so no copy of them is made")
})

test("data, hidden folders, packages and stores are left out, and links are followed to files only", async () => {
  write("data/train.tsv", "a\tb")
  write("data/large.json", `"${"x".repeat(2 ** 21)}"`)
  write("data/small.json", "[]")
  write(".git/config", "x")
  write("out/artifacts/a/manifest.json", "{}")
  write("results/artifacts/a/manifest.json", "{}")
  write("results/sources/a.json", "{}")
  write("elsewhere/shared.ts", "export {}")
  symlinkSync(join(project, "elsewhere/shared.ts"), join(project, "pipelines/linked.ts"))
  symlinkSync(project, join(project, "pipelines/loop"))
  symlinkSync("/dev/zero", join(project, "pipelines/endless.ts"))
  symlinkSync("nowhere", join(project, "pipelines/dangling.ts"))
  expect(filesOf(await frozen())).toEqual([
    "data/small.json",
    "elsewhere/shared.ts",
    "package.json",
    "pipelines/linked.ts",
    "pipelines/study.ts",
  ])
})

test("more than sources are is refused, and nothing is left of the copy", async () => {
  mkdirSync(join(project, "data"))
  for (let i = 0; i < 129; i++) writeFileSync(join(project, "data", `${i}.json`), "x".repeat(2 ** 21))
  const error = await Effect.runPromise(Effect.flip(freeze(join(project, "out"), project, () => {})))
  expect(error.message).toContain(
    "holds more than 20000 files and 268 MB of sources, so no copy of them is made",
  )
  expect(readdirSync(project)).not.toContain("out")
})
