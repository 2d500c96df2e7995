import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import * as fs from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { Effect } from "effect"
import type { Targets } from "../../../core/api/pipeline.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { computingOf } from "../../../core/engine/key.ts"
import { forgetSources, sourcesOf } from "../../../core/engine/source-digest.ts"
import type { Backend } from "../../../core/tensor/backend.ts"
import { copyProject } from "../../project-copy.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const project = join(import.meta.dir, "..", "..", "..")
let copy: string
/** The quickstart as the copy's files declare it. */
let targets: Targets
let backends: readonly Backend[]
/** Of the files as they are. */
let before: ReadonlyMap<string, string>

beforeAll(async () => {
  copy = fs.realpathSync(await copyProject())
  fs.cpSync(join(project, "pipelines"), join(copy, "pipelines"), { recursive: true })
  fs.copyFileSync(join(project, "bun.lock"), join(copy, "bun.lock"))
  const { default: definition } = await import(join(copy, "pipelines", "quickstart.ts"))
  targets = definition.build(definition.parameters({}))
  const named = async (name: string) =>
    (await import(join(copy, "plugins", "backend", `${name}.ts`)))[name] as Backend
  backends = await Promise.all(["cpu", "wasm", "native", "cuda", "tensorflow"].map(named))
  before = await keys()
})
afterAll(() => fs.rmSync(copy, { recursive: true, force: true }))

/** The keys of the copy's units on each backend, by `backend plugin`. */
const keys = async () => {
  forgetSources()
  const found = new Map<string, string>()
  for (const backend of backends) {
    const { units } = await Effect.runPromise(graphOf(targets, computingOf(backend, "fp32")))
    for (const { key, plugin } of units) {
      const name = `${backend.name} ${plugin.name}`
      found.set(name, `${found.get(name) ?? ""} ${key}`)
    }
  }
  return found
}

/** Which units have other keys once a file of the copy is edited. */
const changedBy = async (path: string, edit: (text: string) => string): Promise<readonly string[]> => {
  const file = join(copy, path)
  const text = fs.readFileSync(file, "utf8")
  try {
    fs.writeFileSync(file, edit(text))
    expect(fs.readFileSync(file, "utf8")).not.toBe(text)
    const after = await keys()
    return [...after.keys()].filter((name) => after.get(name) !== before.get(name))
  } finally {
    fs.writeFileSync(file, text)
  }
}

const replacing = (from: string, to: string) => (text: string) => text.replace(from, to)
const withComment = (text: string) => `// A comment.\n${text.replace("\n\n", "\n\n/* Another. */\n\n")}`
const named = (changed: readonly string[], backend: string) =>
  changed.flatMap((name) => (name.startsWith(`${backend} `) ? [name.slice(backend.length + 1)] : []))

/** What trains, or takes what was trained. */
const trained = ["mlm", "simcse", "classification", "fisher", "trajectory", "study-page"]
const data = ["toy-vocabulary", "toy-corpus", "toy-entailment", "toy-similarity"]

test("a sign in AdamW makes all that trains again, and no data", async () => {
  const changed = await changedBy("core/tensor/ops/adamw.ts", replacing("tf.sub(theta", "tf.add(theta"))
  for (const { name } of backends) expect(named(changed, name)).toEqual(expect.arrayContaining(trained))
  expect(changed.filter((name) => data.some((plugin) => name.endsWith(` ${plugin}`)))).toEqual([])
})

test.each([
  "plugins/model/encoder.ts",
  "core/tensor/ops/adamw.ts",
  "plugins/finetune/classification.ts",
  "plugins/backend/native/source/optimiser.cpp",
  "plugins/backend/cuda/kernels/optimiser.cuh",
  "plugins/backend/device/build.ts",
])("a comment in %s makes nothing again", async (path) => {
  expect(await changedBy(path, withComment)).toEqual([])
})

test("a type, the engine, the command line and scripts make nothing again", async () => {
  const added = (text: string) => `${text}\nexport type Added = 1\n`
  expect(await changedBy("plugins/model/encoder.ts", added)).toEqual([])
  const run = (text: string) => `${text}\nexport const added = 1\n`
  expect(await changedBy("core/engine/plan.ts", run)).toEqual([])
  expect(await changedBy("core/cli/main.ts", run)).toEqual([])
  const script = replacing('"scripts": {', '"scripts": {\n"added": "true",')
  expect(await changedBy("package.json", script)).toEqual([])
})

test("a C++ source makes again what trains, on native alone", async () => {
  const source = "plugins/backend/native/source/optimiser.cpp"
  const changed = await changedBy(source, replacing("rest1 * g", "rest1 - g"))
  expect(named(changed, "native")).toEqual(expect.arrayContaining(trained))
  expect(named(changed, "native")).not.toContain("toy-corpus")
  expect(changed.filter((name) => !name.startsWith("native "))).toEqual([])
})

test.each([
  ["plugins/backend/cuda/kernels/optimiser.cuh", "beta1", "beta2"],
  ["plugins/backend/cuda/source/products.cpp", "128", "64"],
])("%s makes again what trains, on cuda alone", async (source, from, to) => {
  const changed = await changedBy(source, replacing(from, to))
  expect(named(changed, "cuda")).toEqual(expect.arrayContaining(trained))
  expect(changed.filter((name) => !name.startsWith("cuda "))).toEqual([])
})

test("a flag of the C++ compiler does too, and a kernel of the other backends theirs", async () => {
  const build = await changedBy("plugins/backend/device/build.ts", replacing('"-O3"', '"-Ofast"'))
  expect(named(build, "native")).toEqual(expect.arrayContaining(trained))
  expect(named(build, "wasm")).toEqual([])
  const kernel = await changedBy(
    "core/tensor/host/optimiser.ts",
    (text) => `${text}\nexport const added = 1\n`,
  )
  expect(named(kernel, "wasm")).toEqual(expect.arrayContaining(trained))
  expect(named(kernel, "native")).toEqual([])
})

test("a package's version makes again what uses it", async () => {
  const version = (name: string) => replacing(`["${name}@4.22.0"`, `["${name}@4.22.1"`)
  const wasm = await changedBy("bun.lock", version("@tensorflow/tfjs-backend-wasm"))
  expect(named(wasm, "wasm")).toEqual(expect.arrayContaining(trained))
  expect(wasm.filter((name) => !name.startsWith("wasm "))).toEqual([])
  const tensorflow = await changedBy("bun.lock", version("@tensorflow/tfjs-node-gpu"))
  expect(named(tensorflow, "tensorflow")).toEqual(expect.arrayContaining(trained))
  expect(named(tensorflow, "cpu")).toEqual([])
  const core = await changedBy("bun.lock", version("@tensorflow/tfjs-core"))
  for (const { name } of backends) expect(named(core, name)).toEqual(expect.arrayContaining(trained))
  // A package that one of these depends on.
  const long = await changedBy("bun.lock", replacing('["long@4.0.0"', '["long@4.0.1"'))
  expect(named(long, "cpu")).toEqual(expect.arrayContaining(trained))
  const unused = await changedBy("bun.lock", replacing('["typescript@7.0.2"', '["typescript@7.0.3"'))
  expect(unused).toEqual([])
})

test("a report's source makes only the report again", async () => {
  const changed = await changedBy(
    "plugins/report/study-page.ts",
    (text) => `${text}\nexport const added = 1\n`,
  )
  expect(new Set(changed.map((name) => name.split(" ")[1]))).toEqual(new Set(["study-page"]))
})

test("a project of one's own sees what it imports of this package by name", () => {
  const study = join(copy, "a-study")
  fs.mkdirSync(join(study, "node_modules"), { recursive: true })
  fs.writeFileSync(join(study, "package.json"), '{ "name": "a-study" }')
  fs.symlinkSync(copy, join(study, "node_modules", "kasosei"))
  const manifest = join(copy, "package.json")
  const exports = { exports: { "./plugins/*": "./plugins/*.ts" } }
  fs.writeFileSync(manifest, JSON.stringify({ ...exports, ...JSON.parse(fs.readFileSync(manifest, "utf8")) }))
  const plugin = join(study, "plugin.ts")
  fs.writeFileSync(plugin, 'export * from "kasosei/plugins/finetune/classification"')
  const sources = () => {
    forgetSources()
    return sourcesOf([pathToFileURL(plugin).href]).sources
  }
  const before = sources()
  expect(Object.keys(before)).toEqual(expect.arrayContaining(["plugin.ts", "plugins/model/encoder.ts"]))
  const adamw = join(copy, "core", "tensor", "ops", "adamw.ts")
  const text = fs.readFileSync(adamw, "utf8")
  fs.writeFileSync(adamw, text.replace("tf.sub(theta", "tf.add(theta"))
  const after = sources()
  fs.writeFileSync(adamw, text)
  expect(Object.keys(after).filter((path) => after[path] !== before[path])).toEqual([
    "core/tensor/ops/adamw.ts",
  ])
  // Installed rather than linked.
  fs.rmSync(join(study, "node_modules", "kasosei"))
  for (const path of ["core", "plugins", "package.json"])
    fs.cpSync(join(copy, path), join(study, "node_modules", "kasosei", path), { recursive: true })
  expect(sources()["kasosei/core/tensor/ops/adamw.ts"]).toBe(before["core/tensor/ops/adamw.ts"]!)
})
