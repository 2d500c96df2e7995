import { expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { type } from "arktype"
import { Effect } from "effect"
import { component, componentOf } from "../../../core/api/component.ts"
import { type Cost, cost } from "../../../core/api/cost.ts"
import type { Targets } from "../../../core/api/pipeline.ts"
import { cohort } from "../../../core/api/pipeline.ts"
import { plugin, type RunContext } from "../../../core/api/plugin.ts"
import { probe } from "../../../core/api/probe.ts"
import { Vocabulary } from "../../../core/artifacts/vocabulary.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { listing, source, walk, watchSum } from "../sample/plugins.ts"

const computedOn = (arithmetic: string) => ({ arithmetic, sources: {}, packages: {} })
const graph = (targets: Targets, backend = "cpu") => Effect.runPromise(graphOf(targets, computedOn(backend)))
const keyOf = async (...wanted: Parameters<typeof graph>) => (await graph(...wanted)).targets["run"]![0]!.key

test("the same work has the same key; other options or inputs give another", async () => {
  const run = (count: number, lr: number) => ({ run: walk({ data: source({ count }), seed: 1, lr }) })
  const key = await keyOf(run(3, 1))
  expect(await keyOf(run(3, 1))).toBe(key)
  expect(await keyOf({ run: walk({ lr: 1, seed: 1, data: source({ count: 3 }), slow: 0 }) })).toBe(key)
  expect(await keyOf(run(4, 1))).not.toBe(key)
  expect(await keyOf(run(3, 2))).not.toBe(key)
})

test("the backend is part of the keys of only those units that compute on it", async () => {
  const data = source({ count: 3 })
  const run = walk({ data, seed: 1, lr: 1 })
  expect(await keyOf({ run }, "wasm")).toBe(await keyOf({ run }, "cpu"))
  const seen = watchSum({ run, steps: [0] })
  expect(await keyOf({ run: seen }, "wasm")).not.toBe(await keyOf({ run: seen }, "cpu"))
})

const optimiser = (module: string) =>
  component({ role: "optimiser", name: "sgd", module, options: type({ "+": "reject" }), make: () => ({}) })(
    {},
  )

/** A plugin that takes a component. */
const trainer = (module: string) =>
  plugin({
    name: "sample-trainer",
    stage: "data",
    version: 1,
    module,
    summary: "",
    options: type({ "+": "reject", optimiser: componentOf("optimiser", "an") }),
    takes: {},
    gives: Vocabulary,
    usesBackend: false,
    estimate: () => ({ artifact: { size: 1 }, cost: cost({}) }),
    run: () => Effect.never,
  })

test("the code of a component is part of the keys of the units that it is given to", async () => {
  const root = mkdtempSync(join(tmpdir(), "kasosei-graph-"))
  try {
    const keyWith = (folder: string, text: string) => {
      mkdirSync(join(root, folder))
      writeFileSync(join(root, folder, "sgd.ts"), 'import "./part.ts"')
      writeFileSync(join(root, folder, "part.ts"), text)
      const module = pathToFileURL(join(root, folder, "sgd.ts")).href
      return keyOf({ run: trainer(import.meta.url)({ optimiser: optimiser(module) }) })
    }
    const key = await keyWith("a", "f(1)")
    expect(await keyWith("b", "f(1) // one")).toBe(key)
    expect(await keyWith("c", "f(2)")).not.toBe(key)
  } finally {
    rmSync(root, { recursive: true })
  }
})

test("options are those of the key for good: whoever writes to them throws", async () => {
  const steps = [0, 1]
  const run = walk({ data: source({ count: 3 }), seed: 1, lr: 1 })
  const { options } = (await graph({ run: watchSum({ run, steps }) })).targets["run"]![0]!
  expect(() => (options["steps"] as number[]).push(7)).toThrow(TypeError)
  expect(() => Object.assign(options, { steps: [7] })).toThrow(TypeError)
  expect(options).toMatchObject({ steps: [0, 1] })
})

test("a module that is no file is a problem of the plugin", async () => {
  const targets = { run: trainer("trainer.ts")({ optimiser: optimiser(import.meta.url) }) }
  const { problems } = await Effect.runPromise(Effect.flip(graphOf(targets, computedOn("cpu"))))
  expect(problems).toEqual([
    expect.stringContaining(
      "sample-trainer: expected the source of a plugin and of its components at their module, import.meta.url;",
    ),
  ])
})

test("a unit that several need appears once, after its inputs", async () => {
  const runs = cohort({ lr: 1 }, [1, 2, 3], (seed) => walk({ data: source({ count: 3 }), seed, lr: 1 }))
  const { units, targets } = await graph({ runs: [runs] })
  expect(units.map(({ label }) => label)).toEqual([
    "sample-source count=3",
    "sample-walk lr=1 seed=1",
    "sample-walk lr=1 seed=2",
    "sample-walk lr=1 seed=3",
  ])
  expect(targets["runs"]).toHaveLength(3)
})

test("the problems of all nodes are reported at once", async () => {
  const data = source({ count: 0 })
  const run = walk({ data, seed: -1, lr: Number.NaN })
  const { message } = await Effect.runPromise(Effect.flip(graphOf({ run }, computedOn("cpu"))))
  expect(message).toContain("sample-source: count must be at least 1 (was 0)")
  expect(message).toContain("sample-walk: seed must be non-negative")
  expect(message).toContain("sample-walk: lr must be")
})

test("an unknown option of a plugin is refused with the name that was probably meant", async () => {
  // @ts-expect-error a typo in a file that is not type-checked
  const data = source({ count: 1, cuont: 2 })
  const { message } = await Effect.runPromise(Effect.flip(graphOf({ data }, computedOn("cpu"))))
  expect(message).toContain("sample-source: there is no option cuont; did you mean count?")
})

test("a missing file of a plugin is reported with the other problems", async () => {
  const words = plugin({
    name: "words",
    stage: "data",
    version: 1,
    module: import.meta.url,
    summary: "The words of a file",
    options: type({ "+": "reject", path: "string" }),
    takes: {},
    gives: Vocabulary,
    usesBackend: false,
    reads: ({ path }) => [path],
    estimate: () => ({ artifact: { size: 0 }, cost: cost({}) }),
    run: () => Effect.die("never run"),
  })
  const within = `${import.meta.path}/x`
  const targets = { a: words({ path: "absent" }), b: words({ path: within }), c: source({ count: 0 }) }
  const { problems } = await Effect.runPromise(Effect.flip(graphOf(targets, computedOn("cpu"))))
  expect(problems).toEqual([
    "words: cannot read absent: there is no such file or folder",
    `words: cannot read ${within}: expected a folder, but part of the path is a file`,
    "sample-source: count must be at least 1 (was 0)",
  ])
})

test("wrong wiring is reported by plugin and input, with what was expected and what was found", async () => {
  const data = source({ count: 3 })
  const run = walk({ data, seed: 1, lr: 1 })
  const runs = cohort({ lr: 1 }, [1], () => run)
  const wrong: Record<string, unknown> = {
    number: walk({ data: 3, seed: 1, lr: 1 } as never),
    kind: walk({ data: run, seed: 1, lr: 1 } as never),
    list: walk({ data: [runs], seed: 1, lr: 1 } as never),
    single: listing({ runs: run, seen: runs, title: "x" } as never),
    member: listing({ runs: [cohort({ lr: 2 }, [1], () => data)], seen: [{}], title: "x" } as never),
    nothing: undefined,
    bare: runs,
    empty: [],
    watched: watchSum({ run: null, steps: [0] } as never),
    right: [runs],
  }
  const { problems } = await Effect.runPromise(Effect.flip(graphOf(wrong as Targets, computedOn("cpu"))))
  expect(problems).toEqual([
    "sample-walk: data: expected a plugin's result of kind source, found 3",
    "sample-walk: data: expected a plugin's result of kind source, found sample-walk, which gives walk",
    "sample-walk: data: expected a plugin's result of kind source, found a list",
    "sample-listing: runs: expected a list of cohorts of kind walk, found the single result of sample-walk",
    "sample-listing: seen: expected a list of cohorts of kind observations, found a single cohort; put it in a list, as in [runs]",
    "sample-listing: runs: in the cohort lr=2: expected a plugin's result of kind walk, found sample-source, which gives source",
    "sample-listing: seen: expected a list of cohorts of kind observations, found an object in it",
    "the target nothing: expected a plugin's result, found undefined",
    "the target bare: expected a list of cohorts, found a single cohort; put it in a list, as in [runs]",
    "the target empty: expected a plugin's result, found an empty list",
    "sample-watch: run: expected a plugin's result, found null",
  ])
})

/** A plugin with this estimate, which reads nothing and is never run. */
const estimating = (name: string, estimate: () => { artifact: { size: number }; cost: Cost }) =>
  plugin({
    name,
    stage: "data",
    version: 1,
    module: import.meta.url,
    summary: name,
    options: type({ "+": "reject" }),
    takes: {},
    gives: Vocabulary,
    usesBackend: false,
    estimate,
    run: () => Effect.die("never run"),
  })

const problemsOf = async (targets: Targets) =>
  (await Effect.runPromise(Effect.flip(graphOf(targets, computedOn("cpu"))))).problems

test.each([
  ["flops", Number.NaN],
  ["memory", Number.POSITIVE_INFINITY],
  ["disk", -1],
  ["scratch", undefined as unknown as number],
])("an estimate whose %s is %p is refused before anything runs", async (part, value) => {
  const wrong = estimating("wrong", () => ({ artifact: { size: 0 }, cost: cost({ [part]: value }) }))
  expect(await problemsOf({ wrong: wrong({}) })).toEqual([
    `wrong: its estimate is wrong: expected ${part} >= 0, found ${value}`,
  ])
})

test("an estimate that throws is reported with its plugin and the line", async () => {
  const broken = estimating("broken", () => {
    throw new TypeError("no such size")
  })
  const [problem, ...others] = await problemsOf({ broken: broken({}) })
  expect(problem).toStartWith("broken: its estimate failed: TypeError: no such size (at ")
  expect(problem).toContain(import.meta.file)
  expect(others).toEqual([])
})

test("two plugins with the same name are refused, with both files", async () => {
  const fine = () => ({ artifact: { size: 0 }, cost: cost({}) })
  const targets = { one: estimating("twin", fine)({}), two: estimating("twin", fine)({}) }
  expect(await problemsOf(targets)).toEqual([
    `twin: two plugins have this name, in ${import.meta.path} and ${import.meta.path}; rename one of them`,
  ])
})

const nameForm = "of letters and digits, with hyphens and dots inside, at most 64 characters"

test("a target or a plugin whose name is a path, or more than a name, is refused with it", async () => {
  const fine = () => ({ artifact: { size: 0 }, cost: cost({}) })
  const node = estimating("fine", fine)({})
  const names = ["../..", "/tmp/x", "", "a\u0000b", "\u001b[31m", "a".repeat(65), "summary.json", "scratch"]
  const problems = await problemsOf(Object.fromEntries(names.map((name) => [name, node])))
  expect(problems).toEqual([
    ...names.slice(0, 6).map((name) => `the target ${JSON.stringify(name)}: its name must be ${nameForm}`),
    ...names
      .slice(6)
      .map((name) => expect.stringContaining(`the target "${name}": its name must be another than `)),
  ])
  for (const name of ["../x", "a/b", ""]) {
    expect(await problemsOf({ one: estimating(name, fine)({}) })).toEqual([
      `the plugin ${JSON.stringify(name)}: its name must be ${nameForm}`,
    ])
  }
})

test("two targets whose names differ only in capitals are refused, since their folders may be the same", async () => {
  const node = estimating("fine", () => ({ artifact: { size: 0 }, cost: cost({}) }))({})
  expect(await problemsOf({ Report: node, table: node, report: node })).toEqual([
    "the targets Report and report: their names must differ in more than capitals",
  ])
})

test("a probe that was given something else than a run is refused, with what it watches", async () => {
  const wrong = probe<unknown, { steps: number }>()({
    name: "wrong",
    version: 1,
    module: import.meta.url,
    summary: "A row for each step",
    options: type({ "+": "reject" }),
    gives: watchSum.gives,
    steps: () => [],
    observe: () => [],
    estimate: (_, { steps }) => ({ rows: steps, cost: cost({ flops: 2 * steps }) }),
  })
  expect(await problemsOf({ wrong: wrong({ run: source({ count: 3 }) }) })).toEqual([
    "wrong: run: expected a run that probes can watch, found sample-source, which shows them nothing; `bun run plugins` lists what can be watched",
  ])
  const other = walk({ data: source({ count: 3 }), seed: 1, lr: 1 })
  expect(await problemsOf({ wrong: wrong({ run: other }) })).toEqual([
    "wrong: its estimate is wrong: expected flops >= 0, found NaN; it watches sample-walk, which gives walk",
  ])
})

test("a plugin says that probes can watch it if, and only if, its run shows them something", () => {
  const named = { stage: "data", version: 1, module: import.meta.url, summary: "" } as const
  const shape = {
    ...named,
    options: type({ "+": "reject" }),
    takes: {},
    gives: Vocabulary,
    usesBackend: false,
    estimate: () => ({ artifact: { size: 0 }, cost: cost({}) }),
  }
  const showing = (_: RunContext<object, Record<never, never>, { step: number }>) => Effect.die("never run")
  const silent = (_: RunContext<object, Record<never, never>, unknown>) => Effect.die("never run")
  expect(plugin({ ...shape, name: "a", watchable: true, run: showing }).watchable).toBe(true)
  expect(plugin({ ...shape, name: "b", run: silent }).watchable).toBeUndefined()
  // @ts-expect-error it shows a view
  plugin({ ...shape, name: "c", run: showing })
  // @ts-expect-error it shows nothing
  plugin({ ...shape, name: "d", watchable: true, run: silent })
})
