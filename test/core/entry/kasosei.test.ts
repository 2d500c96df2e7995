import { expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parseSync } from "oxc-parser"

const root = join(import.meta.dir, "..", "..", "..")
const entry = join(root, "core", "entry", "kasosei.ts")
const moduleOf = (path: string) => parseSync(path, readFileSync(path, "utf8")).module

const exported = moduleOf(entry).staticExports.flatMap(({ entries }) =>
  entries.map(({ exportName, moduleRequest }) => ({ name: exportName.name, from: moduleRequest?.value })),
)

/** What the methods, probes and reports here import from core, and no author elsewhere needs. */
const internal = new Set(["errorCode", "fileError", "version", "lockFile"])

test("exports whatever the plugins and pipelines here are written with", () => {
  const names = new Set(exported.map(({ name }) => name))
  const missing = [
    "data",
    "pretrain",
    "finetune",
    "probe",
    "report",
    "model",
    "template",
    "../pipelines",
  ].flatMap((folder) => {
    const inFolder = join(root, "plugins", folder)
    return readdirSync(inFolder, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .flatMap((path) =>
        moduleOf(join(inFolder, path))
          .staticImports.filter(({ moduleRequest }) => moduleRequest.value.includes("/core/"))
          .flatMap(({ entries }) => entries.map(({ importName }) => importName.name!)),
      )
  })
  expect([...new Set(missing)].filter((name) => !names.has(name) && !internal.has(name))).toEqual([])
})

test("names what it exports, and the module of each", () => {
  expect(exported.filter(({ name, from }) => name == null || from === undefined)).toEqual([])
})

test("loads no backend", async () => {
  const code = `const { tf } = await import(${JSON.stringify(entry)})
    process.stdout.write(JSON.stringify(tf.engine().backendNames()))`
  expect(Bun.spawnSync([process.execPath, "-e", code]).stdout.toString()).toBe("[]")
})
