import { afterAll, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { dependencyOn, findProject, moduleExtension, packageFolder } from "../../../core/io/project.ts"

const root = mkdtempSync(join(tmpdir(), "kasosei-find-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** A folder with a package.json of this text. */
const folder = (path: string, manifest: string): string => {
  mkdirSync(join(root, path), { recursive: true })
  writeFileSync(join(root, path, "package.json"), manifest)
  return join(root, path)
}

test("the project is the nearest folder upwards that depends on this package", () => {
  const outer = folder("outer", '{"dependencies": {"kasosei": "0.1.0"}}')
  const inner = folder("outer/inner", '{"devDependencies": {"kasosei": "file:../k.tgz"}}')
  const other = folder("outer/inner/other", '{"dependencies": {"react": "1"}}')
  mkdirSync(join(other, "pipelines"))
  expect(findProject(outer)).toBe(outer)
  expect(findProject(join(other, "pipelines"))).toBe(inner)
  expect([outer, inner, other].map(dependencyOn)).toEqual(["0.1.0", "file:../k.tgz", undefined])
})

test("a folder without any, or with a package.json that cannot be read, is in no project", () => {
  const bare = folder("bare", "{")
  const odd = folder("odd", '{"dependencies": null, "devDependencies": ["kasosei"]}')
  expect([findProject(bare), findProject(odd), findProject(root)]).toEqual([undefined, undefined, undefined])
})

test("a checkout of this package is no project, wherever it lies", () => {
  folder("around", '{"dependencies": {"kasosei": "0.1.0"}}')
  expect(findProject(folder("around/checkout", '{"name": "kasosei"}'))).toBeUndefined()
  expect([findProject(packageFolder), findProject(import.meta.dir), moduleExtension]).toEqual([
    undefined,
    undefined,
    ".ts",
  ])
})
