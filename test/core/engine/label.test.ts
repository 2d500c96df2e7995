import { expect, test } from "bun:test"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { cohort, mapCohort, type Targets } from "../../../core/api/pipeline.ts"
import type { Node } from "../../../core/api/plugin.ts"
import { optional, plugin } from "../../../core/api/plugin.ts"
import { Vocabulary } from "../../../core/artifacts/vocabulary.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { listing, source, walk, watchSum } from "../sample/plugins.ts"

const labels = async (targets: Targets) => {
  const computing = { arithmetic: "cpu", sources: {}, packages: {} }
  const { units } = await Effect.runPromise(graphOf(targets, computing))
  return units.map(({ label }) => label)
}

const data = source({ count: 3 })
const runsOf = (arm: string, from: Node<typeof source.gives>, seeds = [1, 2]) =>
  cohort({ arm, lr: 1 }, seeds, (seed) => walk({ data: from, seed, lr: 1 }))

test("a run that a probe reaches before its cohort does still has the cohort's labels", async () => {
  const runs = runsOf("A", data)
  const seen = mapCohort(runs, (run) => watchSum({ run, steps: [0] }))
  expect(await labels({ seen: [seen], runs: [runs] })).toEqual([
    "sample-source count=3",
    "sample-walk arm=A lr=1 seed=1",
    "sample-watch arm=A lr=1 seed=1",
    "sample-walk arm=A lr=1 seed=2",
    "sample-watch arm=A lr=1 seed=2",
  ])
})

test("what a terminal would obey is written out", async () => {
  const runs = runsOf("A\u001b[31m\u202e", data, [1])
  expect(await labels({ runs: [runs] })).toContain("sample-walk arm=A\\x1b[31m\\u202e lr=1 seed=1")
})

test("a probe wired without a cohort has the labels of the run that it watches", async () => {
  const runs = runsOf("A", data, [1])
  const probe = watchSum({ run: runs.members[0]!.node, steps: [0] })
  expect(await labels({ runs: [runs], probe })).toContain("sample-watch arm=A lr=1 seed=1")
})

test("what only one arm needs is labelled with it, and what all need is not", async () => {
  const words = plugin({
    name: "words",
    stage: "data",
    version: 1,
    module: import.meta.url,
    summary: "Words",
    options: type({ "+": "reject" }),
    takes: {},
    gives: Vocabulary,
    usesBackend: false,
    estimate: () => ({ artifact: { size: 0 }, cost: cost({}) }),
    run: () => Effect.die("never run"),
  })
  const sums = plugin({
    name: "sums",
    stage: "data",
    version: 1,
    module: import.meta.url,
    summary: "Sums",
    options: type({ "+": "reject", size: "number" }),
    takes: { words: Vocabulary, from: optional(source.gives) },
    gives: source.gives,
    usesBackend: false,
    estimate: () => ({ artifact: { count: 1 }, cost: cost({}) }),
    run: () => Effect.die("never run"),
  })
  const shared = words({})
  const a = sums({ words: shared, size: 3 })
  const b = sums({ words: shared, from: data, size: 3 })
  const report = listing({ runs: [runsOf("A", a), runsOf("B", b)], seen: [], title: "both" })
  const single = listing({ runs: [runsOf("B", b)], seen: [], title: "one" })
  expect((await labels({ report, single })).filter((label) => !label.startsWith("sample-walk"))).toEqual([
    "words",
    "sums arm=A size=3",
    "sample-source arm=B count=3",
    "sums arm=B size=3",
    "sample-listing title=both",
    "sample-listing arm=B title=one",
  ])
})

test("a unit that two of three arms share has both, in the order of the pipeline", async () => {
  const other = source({ count: 4 })
  const report = listing({
    runs: [runsOf("A", data, [1]), runsOf("B", data, [1]), runsOf("C", other, [1])],
    seen: [],
    title: "x",
  })
  expect(await labels({ report })).toEqual([
    "sample-source arm=A,B count=3",
    // The same work in both arms.
    "sample-walk arm=A,B lr=1 seed=1",
    "sample-source arm=C count=4",
    "sample-walk arm=C lr=1 seed=1",
    "sample-listing title=x",
  ])
})

test("units of the same cohort and plugin are told apart by what differs, or else by their inputs", async () => {
  const runs = runsOf("A", data)
  const probes = (steps: number[]) => mapCohort(runs, (run) => watchSum({ run, steps }))
  expect((await labels({ first: [probes([0])], later: [probes([1, 2])] })).slice(1)).toEqual([
    "sample-walk arm=A lr=1 seed=1",
    "sample-watch arm=A lr=1 steps=0 seed=1",
    "sample-walk arm=A lr=1 seed=2",
    "sample-watch arm=A lr=1 steps=0 seed=2",
    "sample-watch arm=A lr=1 steps=1,2 seed=1",
    "sample-watch arm=A lr=1 steps=1,2 seed=2",
  ])
  const [a, b] = [3, 4].map((count) => walk({ data: source({ count }), seed: 1, lr: 1 }))
  expect(await labels({ a: a!, b: b! })).toEqual([
    "sample-source count=3",
    "sample-walk lr=1 data=(sample-source count=3) seed=1",
    "sample-source count=4",
    "sample-walk lr=1 data=(sample-source count=4) seed=1",
  ])
})

test("the runs of a chain are told apart by something else than their seeds", async () => {
  const first = runsOf("A", data)
  const other = source({ count: 4 })
  const second = cohort({ arm: "A", lr: 1 }, [1, 2], (seed) =>
    walk({ data: other, seed: 1000 + seed, lr: 1 }),
  )
  expect(
    (await labels({ runs: [first, second] })).filter((label) => label.startsWith("sample-walk")),
  ).toEqual([
    "sample-walk arm=A lr=1 data=(sample-source count=3) seed=1",
    "sample-walk arm=A lr=1 data=(sample-source count=3) seed=2",
    "sample-walk arm=A lr=1 data=(sample-source count=4) seed=1",
    "sample-walk arm=A lr=1 data=(sample-source count=4) seed=2",
  ])
})
