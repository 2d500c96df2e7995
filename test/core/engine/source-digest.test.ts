import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { sourceDigest } from "../../../core/engine/source-digest.ts"

let root: string
let folders = 0
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-source-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** The digest of `plugin.ts` among these files, in a folder of their own: digests are remembered by path. */
const digestOf = (files: Readonly<Record<string, string>>): string => {
  const folder = join(root, String(++folders))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return sourceDigest(pathToFileURL(join(folder, "plugin.ts")).href)
}

test("the same files in another folder are the same code, an edited one is other code", () => {
  expect(digestOf({ "plugin.ts": "const a = 1" })).toBe(digestOf({ "plugin.ts": "const a = 1" }))
  expect(digestOf({ "plugin.ts": "const a = 2" })).not.toBe(digestOf({ "plugin.ts": "const a = 1" }))
})

test.each([
  'import { a } from "./part/a.ts"',
  "import { a } from './part/a.ts'",
  'import {\n  a,\n  b,\n} from "./part/a.ts"',
  'export * from "./part/a.ts"',
  'import "./part/a.ts"',
  'const a = await import("./part/a.ts")',
  "const a = await import(\n  './part/a.ts',\n)",
])("what a plugin imports is part of it, and what that imports: %j", (plugin) => {
  const digest = (b: string) =>
    digestOf({ "plugin.ts": plugin, "part/a.ts": 'export * from "../b.ts"', "b.ts": b })
  expect(digest("export const b = 1")).not.toBe(digest("export const b = 2"))
})

test("imports of types only, and of packages, are not", () => {
  const plugin = 'import type { A } from "./a.ts"\nimport { type } from "arktype"'
  const digest = (a: string) => digestOf({ "plugin.ts": plugin, "a.ts": a })
  expect(digest("export type A = 1")).toBe(digest("export type A = 2"))
})
