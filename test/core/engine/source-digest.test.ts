import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { sourceDigest } from "../../../core/engine/source-digest.ts"

const project = join(import.meta.dir, "..", "..", "..")
let root: string
let folders = 0
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-source-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

type Files = Readonly<Record<string, string>>

/** The URL of `plugin.ts` among these files, in a new folder: digests are cached by path. */
const written = (files: Files): string => {
  const folder = join(root, String(++folders))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return pathToFileURL(join(folder, "plugin.ts")).href
}

const digestOf = (files: Files): string => sourceDigest(written(files))

/** Whether an edit of `a.ts` changes the digest of a plugin with this text. */
const dependsOnA = (plugin: string): boolean =>
  digestOf({ "plugin.ts": plugin, "a.ts": "export const a = 1" }) !==
  digestOf({ "plugin.ts": plugin, "a.ts": "export const a = 2" })

test("the same files in another folder have the same digest, an edited file has another", () => {
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
])("the digest covers what a plugin imports, and what that imports: %j", (plugin) => {
  const digest = (b: string) =>
    digestOf({ "plugin.ts": plugin, "part/a.ts": 'export * from "../b.ts"', "b.ts": b })
  expect(digest("export const b = 1")).not.toBe(digest("export const b = 2"))
})

test.each([
  'import a, { type B } from "./a.ts"',
  'import { a, type B } from "./a.ts"',
  "import {\r\n  a, // one\r\n  b,\r\n} from './a.ts'\r\n",
  'import /* all of it */ * as a from "./a.ts"',
  'import {} from "./a.ts"',
  'import data from "./a.ts" with { type: "text" }',
  'export { a } from "./a.ts"',
  'export * as a from "./a.ts"',
  "const a = 1; import './a.ts'",
  'const 可塑性 = "😀"; const a = await import("./a.ts")',
  'const a = await import(/* large */ "./a.ts", {})',
  'import { a } from "./a.ts"\nconst unfinished = ;',
])("the digest covers what runs with the plugin: %j", (plugin) => {
  expect(dependsOnA(plugin)).toBe(true)
})

test.each([
  'import type { A } from "./a.ts"\nimport { type } from "arktype"',
  'import type A from "./a.ts"',
  'import { type A, type B } from "./a.ts"',
  'export type { A } from "./a.ts"',
  'export { type A } from "./a.ts"',
  'export type * from "./a.ts"',
  'type A = typeof import("./a.ts")',
  '// import "./a.ts"\n/*\nimport { a } from "./a.ts"\n*/',
  'const text = `\nimport { a } from "./a.ts"\n`',
  "const text = 'await import(\"./a.ts\")'",
  `const name = "a"\nconst a = await import(\`./\${name}.ts\`)`,
  'const a = await import("./" + "a.ts")',
])("the digest omits what does not run, or is known only at run time: %j", (plugin) => {
  expect(dependsOnA(plugin)).toBe(false)
})

test("the digest covers the text of a file that does not parse", () => {
  const digest = (a: string) => digestOf({ "plugin.ts": 'import "./a.ts"', "a.ts": a })
  expect(digest("const = {")).toBe(digest("const = {"))
  expect(digest("const = {")).not.toBe(digest("const = }"))
  const data = (json: string) =>
    digestOf({ "plugin.ts": 'import a from "./a.json" with { type: "json" }', "a.json": json })
  expect(data('{ "a": 1 }')).not.toBe(data('{ "a": 2 }'))
})

test("cyclic imports end, and a missing file or a folder is skipped", () => {
  const digest = (a: string) =>
    digestOf({
      "plugin.ts": 'import "./a.ts"\nimport "./absent.ts"\nimport "./folder"',
      "a.ts": `import "./plugin.ts"\n${a}`,
      "folder/index.ts": "export const a = 1",
    })
  expect(digest("const a = 1")).toBe(digest("const a = 1"))
  expect(digest("const a = 1")).not.toBe(digest("const a = 2"))
})

test("Bun and Deno give the same digest", () => {
  const plugin = written({
    "plugin.ts":
      'import { a } from "./a.ts"\r\nimport type { B } from "./b.ts"\r\nconst 可塑性 = import("./c.ts")',
    "a.ts": 'export * from "./part/d.ts"',
    "b.ts": "export type B = 1",
    "c.ts": "const unfinished = ;",
    "part/d.ts": "export const a = 1",
  })
  const script = `import { sourceDigest } from "./core/engine/source-digest.ts"
    console.log(sourceDigest(${JSON.stringify(plugin)}))`
  const deno = join(project, "node_modules", "deno", "bin.cjs")
  const ended = spawnSync("node", [deno, "run", "--allow-all", "-"], {
    cwd: project,
    input: script,
    encoding: "utf8",
  })
  expect([ended.stdout, ended.stderr]).toEqual([`${sourceDigest(plugin)}\n`, ""])
})
