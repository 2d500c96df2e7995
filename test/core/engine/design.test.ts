import { expect, test } from "bun:test"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { cohort, type Targets } from "../../../core/api/pipeline.ts"
import { cohorts, type InputsEstimate, plugin } from "../../../core/api/plugin.ts"
import { Page } from "../../../core/artifacts/page.ts"
import { designOf } from "../../../core/engine/design.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { source, walk } from "../sample/plugins.ts"

const takes = { first: source.gives, runs: cohorts(walk.gives) } as const

const reportThat = (
  name: string,
  design?: (options: { readonly level: number }, inputs: InputsEstimate<typeof takes>) => readonly string[],
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
