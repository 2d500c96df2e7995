import { afterAll, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { writeProject } from "../../../core/cli/new-project.ts"
import { command } from "./command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const root = mkdtempSync(join(tmpdir(), "kasosei-new-project-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const refusal = async (folder: string) => (await Effect.runPromise(Effect.flip(writeProject(folder)))).message

test("writes a project into a new folder, or an empty one, and says how to go on", async () => {
  mkdirSync(join(root, "empty"))
  for (const name of ["fresh/my-study", "empty"]) {
    const { code, stdout } = await command(["new", "project", join(root, name)])
    expect(code).toBe(0)
    expect(stdout).toContain(`wrote ${join(root, name, "pipelines", "first-study.ts")}\n`)
    expect(stdout).toContain("  bun install\n  bun test\n  bun run pipeline first-study.ts\n")
    expect(readdirSync(join(root, name)).sort()).toEqual(
      [".gitignore", "README.md", "package.json", "pipelines", "plugins", "test", "tsconfig.json"].sort(),
    )
  }
  const { dependencies, name } = await Bun.file(join(root, "empty", "package.json")).json()
  expect([name, dependencies.kasosei]).toEqual(["empty", expect.stringMatching(/^file:.*kasosei-.*\.tgz$/)])
})

test("a name that no package may have is refused before anything is written", async () => {
  for (const name of ["My-Study", "a_b", "-a", "a--b", "a b", "é", "kasosei", "a.b"]) {
    expect(await refusal(join(root, "names", name))).toContain(
      "the folder's name must be lower-case letters and digits with single hyphens",
    )
  }
  expect(await refusal("")).toContain("the folder's name must be")
  expect(existsSync(join(root, "names"))).toBe(false)
})

test("a folder with something in it is refused and kept", async () => {
  mkdirSync(join(root, "taken"))
  writeFileSync(join(root, "taken", "notes.txt"), "mine")
  expect(await refusal(join(root, "taken"))).toBe(
    `new project ${join(root, "taken")}: expected a new or empty folder, found notes.txt in it`,
  )
  expect(readdirSync(join(root, "taken"))).toEqual(["notes.txt"])
  const inside = join(root, "taken", "notes.txt", "inside")
  expect(await refusal(inside)).toContain("expected a folder, but part of the path is a file")
  expect(readdirSync(join(root, "taken"))).toEqual(["notes.txt"])
})

test("if one file cannot be written, none is left, nor a folder above them", async () => {
  // There is room in a path of at most 4096 bytes for package.json, but not for the probe's test.
  let deep = join(root, "deep")
  while (deep.length < 4060 - 100) deep = join(deep, "x".repeat(99))
  deep = join(deep, "y".repeat(4060 - deep.length - 1))
  expect(await refusal(deep)).toMatch(/cannot write .*\/(pipelines|plugins|test)\//)
  expect(existsSync(join(root, "deep"))).toBe(false)
})
