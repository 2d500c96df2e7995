import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { bench } from "../../../core/api/bench.ts"
import { check } from "../../../core/api/check.ts"
import { launcher } from "../../../core/api/launcher.ts"
import { stages } from "../../../core/api/stage.ts"
import {
  backendNamed,
  backends,
  benches,
  checks,
  components,
  launcherNamed,
  launchers,
  plugins,
  reportNamed,
} from "../../../core/engine/discover.ts"
import { packageFolder } from "../../../core/io/project.ts"
import { backend } from "../../../core/tensor/backend.ts"
import { source, watchSum } from "../sample/plugins.ts"

let root: string
let projects = 0
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-discover-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** A new project with these files in its folder `plugins`; new because modules are imported only once. */
const project = (files: Readonly<Record<string, string>>): string => {
  const folder = join(root, String(++projects))
  for (const name of [...stages, "backend", "check", "bench", "launcher"]) {
    mkdirSync(join(folder, "plugins", name), { recursive: true })
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, "plugins", path)), { recursive: true })
    writeFileSync(join(folder, "plugins", path), text)
  }
  return folder
}

const pluginText = (name: string, stage: string) =>
  `export const one = Object.assign(() => {}, { kind: "plugin", stage: "${stage}" })
   Object.defineProperty(one, "name", { value: "${name}" })`
const text = (kind: string, name: string, more = "") =>
  `export const one = { kind: "${kind}", name: "${name}"${more} }`

const run = <A, E>(effect: Effect.Effect<A, E>) => Effect.runPromise(effect)
const names = <E>(found: Effect.Effect<readonly { readonly name: string }[], E>) =>
  run(Effect.map(found, (all) => all.map(({ name }) => name)))
const refusal = async <E extends { readonly message: string }>(found: Effect.Effect<unknown, E>) =>
  (await run(Effect.flip(found))).message

test("the declaring functions set the kind", () => {
  expect([source.kind, watchSum.kind]).toEqual(["plugin", "plugin"])
  const register = () => Effect.void
  const declared = [
    backend({
      name: "a",
      module: import.meta.url,
      summary: "",
      rank: 0,
      flopsPerSecond: () => 1,
      precisions: [],
      check: Effect.void,
      register,
    }),
    check({ name: "b", summary: "", compare: () => Effect.succeed([]) }),
    bench({ name: "c", summary: "", flags: {}, options: type({}), prepare: () => Effect.never }),
    launcher({
      name: "d",
      module: import.meta.url,
      summary: "",
      options: type({}),
      check: Effect.void,
      slots: () => Effect.succeed({ processes: 1 }),
    }),
  ]
  expect(declared.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    ...["backend a", "check b", "bench c", "launcher d"],
  ])
})

describe("this project", () => {
  test("has the plugins of all stages, by stage and name", async () => {
    const found = await run(plugins())
    const of = (stage: string) => found.flatMap((plugin) => (plugin.stage === stage ? [plugin.name] : []))
    expect([...new Set(found.map(({ stage }) => stage))]).toEqual([...stages])
    expect(of("data")).toContain("toy-corpus")
    // Those of the studies; whoever adds one need not add it here.
    expect(of("pretrain")).toEqual(expect.arrayContaining(["mlm", "pretrained", "simcse"]))
    expect(of("finetune")).toContain("classification")
    expect(of("probe")).toEqual(expect.arrayContaining(["fisher", "trajectory"]))
    expect(of("report")).toEqual(expect.arrayContaining(["observations-table", "study-page"]))
    for (const stage of stages) expect(of(stage)).toEqual(of(stage).toSorted())
    // Templates are for `bun run new` and are not listed.
    expect(found.filter(({ name }) => name.startsWith("template"))).toEqual([])
  })

  test("has backends, best first, checks and benches", async () => {
    const ours = ["native", "tensorflow", "wasm", "cpu"]
    expect((await names(backends())).filter((name) => ours.includes(name))).toEqual(ours)
    expect(await names(checks())).toContain("reference")
    expect(await names(benches())).toEqual(expect.arrayContaining(["finetune", "fisher", "mlm", "simcse"]))
  })

  test("has launchers, by name", async () => {
    expect(await names(launchers())).toEqual(expect.arrayContaining(["local", "slurm"]))
    expect((await run(launcherNamed("slurm"))).queue).toBeDefined()
    expect((await run(launcherNamed("local"))).queue).toBeUndefined()
    expect(await refusal(launcherNamed("slurn"))).toBe(
      "--launcher: there is no launcher slurn; did you mean slurm?",
    )
  })
})

test("every export of its folder's kind is found, in order, and a value under two names once", async () => {
  const folder = project({
    "check/b.ts": `${text("check", "b")}
      export const two = { kind: "check", name: "a" }
      export { two as three }
      export default one`,
    "check/a.ts": text("check", "c"),
    "check/shared/helper.ts": "throw new Error('never imported')",
    "check/notes.md": "no code",
    "backend/slow.ts": text("backend", "slow", ", rank: 1"),
    "backend/fast.ts": `${text("backend", "fast", ", rank: 2")}\nexport const other = null, count = 3`,
    "bench/c.ts": text("bench", "c"),
    "data/z.ts": pluginText("z", "data"),
    "report/a.ts": pluginText("a", "report"),
    "data/y.ts": pluginText("c", "data"),
  })
  expect(await names(checks([folder]))).toEqual(["c", "b", "a"])
  expect(await names(backends([folder]))).toEqual(["fast", "slow"])
  expect(await names(benches([folder]))).toEqual(["c"])
  expect(await names(plugins([folder]))).toEqual(["c", "z", "a"])
})

test("a second folder adds to the first; it may lack stages, and its declarations of types are no plugins", async () => {
  const [first, second] = [
    project({ "probe/a.ts": pluginText("a", "probe") }),
    project({ "probe/b.ts": pluginText("b", "probe"), "probe/b.d.ts": "export declare const b: number" }),
  ]
  rmSync(join(second, "plugins", "data"), { recursive: true })
  expect(await names(plugins([first, second]))).toEqual(["a", "b"])
  const twin = project({ "probe/c.ts": pluginText("a", "probe") })
  expect(await refusal(plugins([first, twin]))).toBe(
    "plugins/probe/c.ts: a plugin named a is already declared in plugins/probe/a.ts; rename one of the two",
  )
})

describe("refused, with the file and what to do", () => {
  test("two of one kind with the same name, even in different stages", async () => {
    const folder = project({
      "data/a.ts": pluginText("twin", "data"),
      "probe/b.ts": pluginText("twin", "probe"),
      "bench/twin.ts": text("bench", "twin"),
      "check/a.ts": `${text("check", "same")}\nexport const two = { ...one }`,
    })
    expect(await refusal(plugins([folder]))).toBe(
      "plugins/probe/b.ts: a plugin named twin is already declared in plugins/data/a.ts; rename one of the two",
    )
    expect(await refusal(checks([folder]))).toBe(
      "plugins/check/a.ts: a check named same is already declared in this file; rename one of the two",
    )
    // Another kind may use the same name.
    expect(await names(benches([folder]))).toEqual(["twin"])
  })

  test.each(["Weight Norm", "weight_norm", "-norm", ""])("the name %j", async (name) => {
    const folder = project({ "probe/a.ts": pluginText(name, "probe") })
    expect(await refusal(plugins([folder]))).toBe(
      `plugins/probe/a.ts: expected a name in lower case with hyphens, found ${JSON.stringify(name)}`,
    )
  })

  test("a plugin in the folder of another stage", async () => {
    const folder = project({ "probe/table.ts": pluginText("table", "report") })
    expect(await refusal(plugins([folder]))).toBe(
      "plugins/probe/table.ts: the plugin table has the stage report; move the file to plugins/report or correct the stage",
    )
  })

  test.each([
    ["probe/a.ts", "export const norm = () => 1", plugins, "no plugin; export one that probe(…) declares"],
    ["data/a.ts", "", plugins, "no plugin; export one that plugin(…) declares"],
    ["bench/a.ts", text("check", "a"), benches, "no bench; export one that bench(…) declares"],
    ["check/a.ts", 'const one = { kind: "check" }', checks, "no check; export one that check(…) declares"],
  ] as const)(
    "a file that declares nothing of its folder's kind: %s",
    async (path, content, found, problem) => {
      const message = await refusal<{ readonly message: string }>(found([project({ [path]: content })]))
      expect(message).toBe(
        `plugins/${path}: it exports ${problem}, or move the file to a subfolder, such as plugins/${dirname(path)}/shared`,
      )
    },
  )

  test("a file that does not load", async () => {
    const folder = project({ "check/a.ts": "throw new Error('no luck')" })
    expect(await refusal(checks([folder]))).toBe("plugins/check/a.ts: it does not load: Error: no luck")
  })

  test("a missing folder", async () => {
    expect(await refusal(checks([join(root, "absent")]))).toContain("there is no such file or folder")
  })
})

describe("backendNamed", () => {
  test("gives the backend of a name, and for auto one that runs here", async () => {
    expect((await run(backendNamed("cpu"))).name).toBe("cpu")
    const auto = await run(backendNamed("auto"))
    await run(auto.check)
    const better = (await run(backends())).filter(({ rank }) => rank > auto.rank)
    for (const { name, check } of better) expect(await refusal(check)).toContain(`the backend ${name}`)
  })

  test("refuses an unknown name with the one that was probably meant", async () => {
    expect(await refusal(backendNamed("gpu"))).toBe("--backend: there is no backend gpu; did you mean cpu?")
  })
})

test("the components that a command line can name are this package's, and those of the project", async () => {
  const found = await run(components([packageFolder]))
  const of = (role: string) => found.flatMap((maker) => (maker.role === role ? [maker.name] : []))
  expect(of("optimiser")).toEqual(["adafactor", "adamw", "lion", "sgd"])
  expect(of("schedule")).toEqual(["constant", "cosine", "linear"])
  expect(of("regulariser")).toEqual(["l2-sp"])
  expect(of("parametrisation")).toEqual(["mixout"])

  const own = `export const one = Object.assign(() => {}, { kind: "component-maker", role: "schedule" })
    Object.defineProperty(one, "name", { value: "steps" })`
  const folder = project({ "schedules/steps.ts": own, "optimisers/shared.ts": "export const two = 2" })
  const all = await run(components([packageFolder, folder]))
  expect(all.slice(found.length).map(({ role, name }) => [role, name])).toEqual([["schedule", "steps"]])
  const broken = project({ "optimisers/broken.ts": "throw new Error('no')" })
  expect(await refusal(components([packageFolder, broken]))).toBe(
    "plugins/optimisers/broken.ts: it does not load: Error: no",
  )
})

test("a report is found by its name", async () => {
  const folder = project({
    "report/one.ts": pluginText("one", "report"),
    "probe/two.ts": pluginText("two", "probe"),
  })
  expect((await run(reportNamed("one", [folder])))?.name).toBe("one")
  expect(await run(reportNamed("two", [folder]))).toBeUndefined()
})
