import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { forgetSources, sourcesOf } from "../../../core/engine/source-digest.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

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

const digestOf = (files: Files): string => JSON.stringify(sourcesOf([written(files)]))

/** Whether an edit of `a.ts` changes the digest of a plugin with this text. */
const dependsOnA = (plugin: string): boolean =>
  digestOf({ "plugin.ts": plugin, "a.ts": "export const a = 1" }) !==
  digestOf({ "plugin.ts": plugin, "a.ts": "export const a = 2" })

test("sources are named by their paths and packages by their names, whatever the folder", () => {
  const files = {
    "package.json": "{}",
    "plugin.ts": 'import "./part/a.ts"\nimport "node:fs"\nimport "no-such-package/part"',
    "part/a.ts": "f(1)",
  }
  const { sources, packages } = sourcesOf([written(files)])
  expect(Object.keys(sources).sort()).toEqual(["part/a.ts", "plugin.ts"])
  expect(packages).toEqual({ "no-such-package": "not installed" })
  expect(sourcesOf([written(files)])).toEqual({ sources, packages })
})

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
  "const a = await import(`./part/a.ts`)",
  'import { a } from "./part/a"',
  'import { a } from "./part/a.js"',
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

describe("a file that only hands on names", () => {
  const files = {
    "a.ts": 'import "./e.ts"\nexport const a = 1',
    "b.ts": "export const b = 1",
    "c.ts": "export const c = 1",
    "e.ts": "",
    "entry.ts":
      'export { a, type A } from "./a.ts"\nexport * as b from "./b.ts"\nexport type { D } from "./d.ts"\n' +
      'export { c as other } from "./c.ts"\nexport { tf } from "no-such-package"',
    "outer.ts": 'export { a, b } from "./entry.ts"',
  }
  const reach = (plugin: string, more: Files = {}) => {
    const { sources, packages } = sourcesOf([written({ ...files, ...more, "plugin.ts": plugin })])
    return [...Object.keys(sources).filter((path) => path !== "plugin.ts"), ...Object.keys(packages)].sort()
  }

  test("leads to where they come from", () => {
    expect(reach('import { a } from "./entry.ts"')).toEqual(["a.ts", "e.ts"])
    expect(reach('import { a as own, type A, b } from "./outer.ts"')).toEqual(["a.ts", "b.ts", "e.ts"])
    expect(reach('import { tf } from "./entry.ts"')).toEqual(["no-such-package"])
    expect(reach('export { b } from "./entry.ts"\nexport const c = 1')).toEqual(["b.ts"])
  })

  test("counts with all that it hands on if all is imported, or a name that it changes", () => {
    const all = ["a.ts", "b.ts", "c.ts", "e.ts", "entry.ts", "no-such-package"]
    expect(reach('import * as all from "./entry.ts"')).toEqual(all)
    expect(reach('import "./entry.ts"')).toEqual(all)
    expect(reach('import { other } from "./entry.ts"')).toEqual(all)
    expect(reach('import { absent } from "./entry.ts"')).toEqual(all)
    expect(reach('export * from "./entry.ts"\nexport const c = 1')).toEqual(all)
    expect(reach('const all = await import("./entry.ts")')).toEqual(all)
  })

  test("counts like any other file if it does more", () => {
    const more = { "entry.ts": `${files["entry.ts"]}\nexport const f = 1` }
    expect(reach('import { a } from "./entry.ts"', more)).toContain("entry.ts")
  })

  test("may hand on in a circle, which is an error of its own", () => {
    const circle = { "a.ts": 'export { a } from "./b.ts"', "b.ts": 'export { a } from "./a.ts"' }
    expect(reach('import { a } from "./a.ts"', circle)).toEqual(["a.ts", "b.ts"])
  })
})

test("the digest covers the text of a file that does not parse", () => {
  const digest = (a: string) => digestOf({ "plugin.ts": 'import "./a.ts"', "a.ts": a })
  expect(digest("const = {")).toBe(digest("const = {"))
  expect(digest("const = {")).not.toBe(digest("const = }"))
})

test("of a JSON file, the digest covers the content; of a package.json, its name and version", () => {
  const plugin = (name: string) => `import a from "./${name}" with { type: "json" }`
  const data = (json: string) => digestOf({ "plugin.ts": plugin("a.json"), "a.json": json })
  expect(data('{ "a": 1, "b": 2 }')).toBe(data('{\n"b":2,"a":1}'))
  expect(data('{ "a": 1 }')).not.toBe(data('{ "a": 2 }'))
  expect(data("{")).not.toBe(data("{{"))
  const manifest = (json: string) => digestOf({ "plugin.ts": plugin("package.json"), "package.json": json })
  expect(manifest('{ "version": "1.0.0", "scripts": { "a": "b" } }')).toBe(manifest('{ "version": "1.0.0" }'))
  expect(manifest('{ "version": "1.0.0" }')).not.toBe(manifest('{ "version": "1.0.1" }'))
})

test("cyclic imports end, and a missing file is skipped", () => {
  const digest = (a: string) =>
    digestOf({
      "plugin.ts": 'import "./a.ts"\nimport "./absent.ts"',
      "a.ts": `import "./plugin.ts"\n${a}`,
    })
  expect(digest("const a = 1")).toBe(digest("const a = 1"))
  expect(digest("const a = 1")).not.toBe(digest("const a = 2"))
})

test("several modules are one set of sources, further files and packages included", () => {
  const folder = new URL(".", written({ "plugin.ts": 'import "./a.ts"', "a.ts": "f(1)", "b.ts": "f(2)" }))
  writeFileSync(new URL("c.cpp", folder), "int a = 1; // one")
  writeFileSync(new URL("c.cpp~", folder), "an editor's")
  const module = (name: string) => new URL(name, folder).href
  const { sources, packages } = sourcesOf([module("plugin.ts"), module("b.ts")], ["./", "some-package"])
  expect(Object.keys(sources).sort()).toEqual(["a.ts", "b.ts", "c.cpp", "plugin.ts"])
  expect(packages).toEqual({ "some-package": "not installed" })
})

test("sources are read again once they are forgotten", () => {
  const plugin = written({ "plugin.ts": "f(1)" })
  const before = sourcesOf([plugin])
  writeFileSync(new URL(plugin), "f(2)")
  expect(sourcesOf([plugin])).toBe(before)
  forgetSources()
  expect(sourcesOf([plugin])).not.toEqual(before)
  writeFileSync(new URL(plugin), "f(1) // one")
  forgetSources()
  expect(sourcesOf([plugin])).toEqual(before)
})

describe("packages", () => {
  const manifest = (fields: object) => JSON.stringify(fields)
  const dependent = (name: string, version: string, dependencies: object) => ({
    [`node_modules/${name}/package.json`]: manifest({ name, version, main: "index.js", dependencies }),
    [`node_modules/${name}/index.js`]: "",
  })
  const installed = (a: string, c: string, types = "1.0.0"): Files => ({
    "plugin.ts": 'import { a } from "a/part"\nimport type { D } from "d"',
    ...dependent("a", a, { "@b/b": "*", "@types/t": "*", absent: "*" }),
    ...dependent("@b/b", "1.0.0", { c: "*", a: "*" }),
    ...dependent("c", c, {}),
    ...dependent("d", "1.0.0", {}),
    ...dependent("@types/t", types, {}),
  })
  const packagesOf = (files: Files) => sourcesOf([written(files)]).packages

  test("count by the installed version and by what they depend on", () => {
    const packages = packagesOf(installed("1.0.0", "1.0.0"))
    expect(packages).toEqual({ a: expect.stringMatching(/^1\.0\.0 \(dependencies [0-9a-f]{12}\)$/) })
    expect(packagesOf(installed("1.0.0", "1.0.0", "2.0.0"))).toEqual(packages)
    expect(packagesOf(installed("1.0.0", "1.0.1"))["a"]).not.toBe(packages["a"])
    expect(packagesOf(installed("1.0.1", "1.0.0"))["a"]).toStartWith("1.0.1 (")
  })

  /** As Bun writes it: with commas after last elements. */
  const lockfile = (packages: Readonly<Record<string, readonly [string, object]>>): string =>
    `{ "lockfileVersion": 1, "packages": {\n${Object.entries(packages)
      .map(
        ([path, [id, described]]) => `"${path}": ["${id}", "", ${JSON.stringify(described)}, "sha512-,]"],\n`,
      )
      .join("")}}, }`

  test("count by the lockfile where there is one, nested ones included", () => {
    const locked = (a: string, nested: string, top: string) =>
      packagesOf({
        ...installed("1.0.0", "1.0.0"),
        "bun.lock": lockfile({
          a: [`a@${a}`, { dependencies: { "@b/b": "*", "@types/t": "*" } }],
          "@b/b": ["@b/b@1.0.0", { dependencies: { c: "*" }, optionalDependencies: { o: "*" } }],
          c: [`c@${top}`, {}],
          "@b/b/c": [`c@${nested}`, {}],
          "@types/t": [`@types/t@${top}`, {}],
        }),
      })
    const packages = locked("2.0.0", "1.0.0", "1.0.0")
    expect(packages["a"]).toStartWith("2.0.0 (")
    expect(locked("2.0.0", "1.0.0", "1.0.1")).toEqual(packages)
    expect(locked("2.0.0", "1.0.1", "1.0.0")).not.toEqual(packages)
    expect(locked("2.0.1", "1.0.0", "1.0.0")["a"]).toStartWith("2.0.1 (")
  })

  test("count as installed if the lockfile is damaged or does not have them", () => {
    const packages = packagesOf(installed("1.0.0", "1.0.0"))
    expect(packagesOf({ ...installed("1.0.0", "1.0.0"), "bun.lock": "{" })).toEqual(packages)
    expect(packagesOf({ ...installed("1.0.0", "1.0.0"), "bun.lock": lockfile({}) })).toEqual(packages)
  })

  test("of TypeScript count by their files, found through their exports", () => {
    const digest = (exports: unknown, file: string, b: string) =>
      digestOf({
        "plugin.ts": 'import { a } from "source/part/a"',
        "node_modules/source/package.json": manifest({ name: "source", version: "1.0.0", exports }),
        [`node_modules/source/${file}`]: 'import "./b.ts"',
        [`node_modules/source/${dirname(file)}/b.ts`]: b,
      })
    for (const [exports, file] of [
      [{ "./part/a": "./in/a.ts" }, "in/a.ts"],
      [{ "./*": "./no/*.ts", "./part/*": "./in/*.ts" }, "in/a.ts"],
      [{ "./*": { types: "./no.d.ts", bun: "./no.ts", import: { default: "./in/*.ts" } } }, "in/part/a.ts"],
      [{ "./part/a": ["./in/a.ts"] }, "in/a.ts"],
    ] as const) {
      expect(digest(exports, file, "f(1)")).toBe(digest(exports, file, "f(1) // one"))
      expect(digest(exports, file, "f(1)")).not.toBe(digest(exports, file, "f(2)"))
    }
    const hidden = { "./*": "./in/*.ts", "./part/*": null }
    expect(digest(hidden, "in/part/a.ts", "f(1)")).toBe(digest(hidden, "in/part/a.ts", "f(2)"))
  })

  test("that use this one, and this one itself, count by their files even as JavaScript", () => {
    const digest = (fields: object, a: string) =>
      digestOf({
        "plugin.ts": 'import { a } from "methods"',
        "node_modules/methods/package.json": manifest({ name: "methods", main: "index.js", ...fields }),
        "node_modules/methods/index.js": a,
      })
    const uses = { peerDependencies: { kasosei: "*" } }
    expect(digest(uses, "f(1)")).not.toBe(digest(uses, "f(2)"))
    expect(digest({}, "f(1)")).toBe(digest({}, "f(2)"))
  })

  test("that import themselves by name are followed", () => {
    const digest = (a: string) =>
      digestOf({
        "package.json": manifest({ name: "own", exports: { "./*": "./*.ts" } }),
        "plugin.ts": 'import { a } from "own/a"',
        "a.ts": a,
      })
    expect(digest("f(1)")).not.toBe(digest("f(2)"))
  })
})

test("Bun and Deno see the same in every plugin and backend of the project", () => {
  const script = `import { sourcesOf } from "./core/engine/source-digest.ts"
    import { backends, plugins } from "./core/engine/discover.ts"
    import { Effect } from "effect"
    const found = await Effect.runPromise(Effect.all([plugins(), backends()]))
    console.log(JSON.stringify(found.flat().map(({ module, sources }) => sourcesOf([module], sources))))`
  const run = (program: string, ...given: readonly string[]) =>
    spawnSync(program, given, { cwd: project, input: script, encoding: "utf8", maxBuffer: 2 ** 26 })
  const deno = join(project, "node_modules", "deno", "bin.cjs")
  const ended = run("node", deno, "run", "--allow-all", "-")
  expect(ended.stderr).toBe("")
  const expected = run(process.execPath, "run", "-")
  expect(expected.stdout).toContain('"core/tensor/ops/adamw.ts"')
  expect(ended.stdout).toBe(expected.stdout)
})
