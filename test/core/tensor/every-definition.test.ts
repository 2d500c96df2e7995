import { expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { join } from "node:path"

const project = join(import.meta.dir, "..", "..", "..")

/** The names that are left of a folder's files without the ending, sorted. */
const namesIn = async (folder: string, ending: string) =>
  (await fs.readdir(folder))
    .filter((file) => file.endsWith(ending))
    .map((file) => file.slice(0, -ending.length))
    .sort()

test("every op has a test file that runs it on every definition", async () => {
  const folder = join(project, "test", "core", "tensor", "ops")
  const ending = ".test.ts"
  const tests = await namesIn(folder, ending)
  expect(tests).toEqual(await namesIn(join(project, "core", "tensor", "ops"), ".ts"))
  for (const name of tests) {
    expect(await fs.readFile(join(folder, `${name}${ending}`), "utf8")).toContain("\nonEveryDefinition(")
  }
})
