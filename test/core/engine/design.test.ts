import { expect, test } from "bun:test"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import type { Differences } from "../../../core/api/difference.ts"
import { cohort, type Targets } from "../../../core/api/pipeline.ts"
import { cohorts, type InputsEstimate, plugin } from "../../../core/api/plugin.ts"
import { Page } from "../../../core/artifacts/page.ts"
import { confoundersOf, confounderWarnings, designOf } from "../../../core/engine/design.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { source, walk } from "../sample/plugins.ts"

const takes = { first: source.gives, runs: cohorts(walk.gives) } as const

const reportThat = (
  name: string,
  design?: (options: { readonly level: number }, inputs: InputsEstimate<typeof takes>) => readonly string[],
  confounders?: (options: object, inputs: object, differences: Differences) => readonly string[],
) =>
  plugin({
    name,
    stage: "report",
    version: 1,
    module: import.meta.url,
    summary: "",
    options: type({ "+": "reject", level: "number = 0.05" }),
    takes,
    gives: Page,
    usesBackend: false,
    estimate: () => ({ artifact: {}, cost: cost({}) }),
    ...(design === undefined ? {} : { design }),
    ...(confounders === undefined ? {} : { confounders }),
    run: () => Effect.never,
  })

const data = source({ count: 3 })
const runs = [
  cohort({ arm: "a" }, [1, 2], (seed) => walk({ data, seed, lr: 1 })),
  cohort({ arm: "b", lr: 2 }, [3], (seed) => walk({ data, seed, lr: 2 })),
]
const design = (targets: Targets) =>
  Effect.runPromise(
    Effect.flatMap(graphOf(targets, { arithmetic: "cpu", sources: {}, packages: {} }), designOf),
  )

test("a design knows its options, and of its inputs what the estimates say, with labels and seeds", async () => {
  const told: unknown[] = []
  const report = reportThat("telling", (options, inputs) => {
    told.push(options, inputs)
    return ["One thing.", "Another."]
  })
  expect(await design({ report: report({ first: data, runs }) })).toEqual(
    new Map([["report", ["One thing.", "Another."]]]),
  )
  const estimate = { count: 3 }
  expect(told).toEqual([
    { level: 0.05 },
    {
      first: estimate,
      runs: [
        { labels: { arm: "a" }, members: [1, 2].map((seed) => ({ seed, estimate })) },
        { labels: { arm: "b", lr: 2 }, members: [{ seed: 3, estimate }] },
      ],
    },
  ])
})

test("each target has its own sentences, and a target without any is left out", async () => {
  const telling = reportThat("telling", ({ level }) => [`At ${level}.`])
  const given = { first: data, runs }
  const targets = {
    strict: telling({ ...given, level: 0.01 }),
    silent: reportThat("silent", () => [])(given),
    plain: reportThat("plain")(given),
    lax: telling({ ...given, level: 0.1 }),
    runs,
  }
  expect([...(await design(targets))]).toEqual([
    ["strict", ["At 0.01."]],
    ["lax", ["At 0.1."]],
  ])
})

test("a design that throws is named, with the place", async () => {
  const report = reportThat("careless", () => {
    throw new RangeError("no such arm")
  })
  await expect(design({ report: report({ first: data, runs }) })).rejects.toThrow(
    /careless: its design failed: RangeError: no such arm \(at .*design\.test\.ts/,
  )
})

test("confounders come after the design, with what any two cohorts differ in", async () => {
  const other = cohort({ arm: "c" }, [1, 2], (seed) => walk({ data, seed, lr: 3 }))
  const telling = reportThat(
    "telling",
    () => ["It can show this."],
    (_, __, differences) =>
      differences({ input: "runs", index: 0 }, { input: "runs", index: 2 }).map(
        ({ name, first, second }) => `${name}: ${first}, ${second}`,
      ),
  )
  const targets = { report: telling({ first: data, runs: [...runs, other] }) }
  const expected = "lr of fine-tuning: 1, 3"
  expect(await design(targets)).toEqual(new Map([["report", ["It can show this.", expected]]]))
  const graph = await Effect.runPromise(graphOf(targets, { arithmetic: "cpu", sources: {}, packages: {} }))
  expect(await Effect.runPromise(confoundersOf(graph))).toEqual([expected])
})

test("a cohort that is not there is named as the plugin's mistake", async () => {
  const report = reportThat("careless", undefined, (_, __, differences) => [
    String(differences({ input: "runs", index: 0 }, { input: "runs", index: 9 })),
  ])
  await expect(design({ report: report({ first: data, runs }) })).rejects.toThrow(
    "careless: its confounders failed: RangeError: there is no cohort 9 of runs",
  )
})

test("of many sentences, the warnings of a run are the first, and a count", () => {
  expect(confounderWarnings([])).toEqual([])
  expect(confounderWarnings(["A.", "B."])).toEqual(["warning: A.", "warning: B."])
  expect(confounderWarnings(["A.", "B.", "C.", "D.", "E."]).at(-1)).toBe(
    "warning: 2 more sentences about confounders: see --plan",
  )
})
