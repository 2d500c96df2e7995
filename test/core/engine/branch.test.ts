import { describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { branch } from "../../../core/api/branch.ts"
import { cohort } from "../../../core/api/pipeline.ts"
import { type BranchRequest, branchRequest, checkReached, openBranch } from "../../../core/engine/branch.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { loadPipeline, openPipeline } from "../../../core/engine/load.ts"
import { planOf } from "../../../core/engine/plan.ts"
import { pipelineParameters } from "../../../core/engine/settings.ts"
import { carryOut, estimating, inStore, sampleFile } from "../sample/study.ts"

const cpu = { arithmetic: "cpu", sources: {}, packages: {} }
const definition = await Effect.runPromise(loadPipeline(sampleFile))
const graphWith = (...settings: readonly string[]) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const parameters = yield* pipelineParameters(definition, settings)
      return yield* openPipeline(sampleFile, definition, parameters, cpu)
    }),
  )
/** Runs with learning rates 1 and 2 and seeds 1 and 2, of 5 steps. */
const graph = await graphWith()

const open = (request: Partial<BranchRequest>, of = graph) =>
  openBranch(of, definition, { run: "lr=2 seed=1", at: 3, set: ["gain=4"], ...request }, cpu)
const opened = (request: Partial<BranchRequest> = {}, of = graph) => Effect.runPromise(open(request, of))
const refusal = async (request: Partial<BranchRequest>, of = graph) =>
  (await Effect.runPromise(Effect.flip(open(request, of)))).message

const runOf = (label: string) => graph.units.find((unit) => unit.label === label)!
const [first, second] = [runOf("sample-walk lr=2 seed=1"), runOf("sample-walk lr=2 seed=2")]

describe("the graph of a branch", () => {
  test("is the run as the pipeline has it, the branch, and what both need", async () => {
    const branched = await opened()
    expect(branched.run).toBe(first)
    expect(branched.name).toBe("branch-lr=2-seed=1-gain=4@3")
    const { units, targets } = branched.graph
    expect(units.map(({ label }) => label)).toEqual([
      "sample-source count=5 broken=false",
      "sample-walk lr=2 seed=1",
      "sample-walk lr=2 branch=gain=4@3 seed=1",
    ])
    expect(Object.keys(targets)).toEqual(["original", "branch"])
    expect(targets["original"]![0]!.key).toBe(first.key)
    expect(targets["branch"]![0]!.options).toEqual({
      ...first.options,
      branch: [{ at: 3, set: { gain: 4 } }],
    })
  })

  test("is the same whichever way the run is named and the change is written", async () => {
    const { graph: expected } = await opened()
    for (const run of [first.label, first.key, first.key.slice(0, 9)]) {
      const found = await opened({ run, set: [" gain = 4.0 "] })
      expect(found.graph.units.map(({ key }) => key)).toEqual(expected.units.map(({ key }) => key))
    }
  })

  test("of a run in no cohort has the run's seed", async () => {
    const alone = { ...graph, origins: new Map(graph.origins) }
    alone.origins.set(first, { ...graph.origins.get(first)!, memberships: [] })
    const { units } = (await opened({}, alone)).graph
    expect(units.at(-1)!.label).toBe("sample-walk run=original branch=gain=4@3 seed=1")
  })

  test("has a folder name of bounded length, whatever is branched and set", async () => {
    expect((await opened({ set: [" gain = 4 ", "aloud=true"] })).name).toBe(
      "branch-lr=2-seed=1-gain=4,aloud=true@3",
    )
    const renamed = await graphWith()
    const unit: { label: string } = renamed.units.find(({ label }) => label === first.label)!
    unit.label = `sample-walk arm=${"a/b(c) ".repeat(30)}seed=1`
    const { name } = await opened({ run: unit.label }, renamed)
    expect(name).toMatch(/^branch-arm=a-b-c-a-b-[abc-]+-[0-9a-f]{8}$/)
    expect(name.length).toBe(129)
  })
})

describe("a run is found", () => {
  test.each([
    ["its label", () => second.label],
    ["words of it in any order", () => "seed=2 lr=2"],
    ["numbers written in another way", () => "lr=2.0 seed=2"],
    ["a part of it", () => "walk lr=2 seed=2"],
    ["the start of its key", () => second.key.slice(0, 6)],
    ["the folder of its artifact", () => `/some/where/out/artifacts/sample-walk-${second.key.slice(0, 20)}/`],
  ])("by %s", async (_, text) => expect((await opened({ run: text() })).run).toBe(second))

  test("by a whole label, also where it is a part of another", async () => {
    const many = await graphWith("seeds=1,2,11,12")
    expect((await opened({ run: "sample-walk lr=2 seed=1" }, many)).run.label).toBe("sample-walk lr=2 seed=1")
    expect((await opened({ run: "seed=1 lr=2" }, many)).run.label).toBe("sample-walk lr=2 seed=1")
  })

  test("by all of its words, where other runs have them and more", async () => {
    const node = graph.origins.get(second)!.node
    const more = cohort({ lr: 2, branch: "loud" }, [2], () => branch(node, { at: 1, set: { aloud: true } }))
    const same = cohort({ lr: 2 }, [2], () => node)
    const of = await Effect.runPromise(graphOf({ both: [more, same] }, cpu))
    expect(of.units.map(({ label }) => label)).toContain("sample-walk lr=2 branch=loud seed=2")
    expect((await opened({ run: "lr=2 seed=2" }, of)).run.key).toBe(second.key)
    const { run, graph: twice } = await opened({ run: "branch=loud" }, of)
    expect(run.label).toBe("sample-walk lr=2 branch=loud seed=2")
    expect(twice.units.at(-1)!.label).toBe("sample-walk lr=2 branch=gain=4@3 seed=2")
    expect(twice.units.at(-1)!.options["branch"]).toHaveLength(2)
  })

  test("only if the text stands for one", async () => {
    expect(await refusal({ run: "seed=1" })).toBe(
      "--branch seed=1: expected the name of one run, found 2: sample-walk lr=1 seed=1; sample-walk lr=2 seed=1",
    )
  })

  test("not if there is none; names near it are told, and what else it may need", async () => {
    expect(await refusal({ run: "lr=2 sead=1" })).toBe(
      "--branch lr=2 sead=1:\n  there is no such run; did you mean sample-walk lr=2 seed=1?\n  runs that were made with other parameters of the pipeline need them here too, as --set pipeline.NAME=value",
    )
    const labels = [1, 2].flatMap((lr) => [1, 2].map((seed) => `sample-walk lr=${lr} seed=${seed}`))
    expect(await refusal({ run: "vanilla" })).toContain(
      `there is no such run; there are ${labels.join("; ")}\n`,
    )
    // A probe of a run has no options that change.
    expect(await refusal({ run: "sample-watch lr=2 seed=1" })).toStartWith(
      "--branch sample-watch lr=2 seed=1: expected a run whose options can change while it runs, found sample-watch lr=2 seed=1; there are ",
    )
    const none = { ...graph, units: graph.units.filter(({ plugin }) => plugin.changes === undefined) }
    expect(await refusal({}, none)).toBe(
      "--branch lr=2 seed=1: the pipeline has no run whose options can change",
    )
  })
})

describe("a branch is refused", () => {
  test.each<[Partial<BranchRequest>, string]>([
    [
      { at: 6 },
      "--branch lr=2 seed=1@6: expected a step from 0 to 5, the end of sample-walk lr=2 seed=1, found 6",
    ],
    [
      { set: [] },
      "--branch lr=2 seed=1@3: expected what changes at this step, as --set name=value with aloud, gain",
    ],
    [{ set: ["gian=2"] }, "sample-walk: --set gian=2: there is no option gian; did you mean gain?"],
    [
      { set: ["seeds=1..3"] },
      "sample-walk: --set seeds=1..3: sample-walk has no option seeds that can change during a run; for the parameter of sample, write --set pipeline.seeds=…",
    ],
    [{ set: ["gain=much"] }, 'sample-walk: --set gain=much: gain must be a number (was "much")'],
    [{ set: ["gain=1", "gain=2"] }, "sample-walk: --set gain=2: gain is already set by --set gain=1"],
    [{ set: ["gain"] }, "sample-walk: --set gain: expected name=value"],
  ])("%j", async (request, message) => expect(await refusal(request)).toBe(message))
})

test("a branch after the step at which its run diverged is refused, once that is known", async () => {
  const out = mkdtempSync(join(tmpdir(), "kasosei-branch-"))
  const of = await graphWith("divergeAt=3", "lr=2", "seeds=1")
  const { run } = await opened({}, of)
  const checked = (at: number) => inStore(out, checkReached(run, { run: "seed=1", at, set: [] }))
  const unknown = await checked(4)
  await inStore(out, Effect.flatMap(planOf(of, estimating), carryOut))
  const inTime = await checked(3)
  expect([unknown, inTime]).toEqual([undefined, undefined])
  await expect(checked(4)).rejects.toThrow(
    "--branch seed=1@4: sample-walk lr=2 seed=1 diverged at step 3 (the sum is NaN): expected a step from 0 to 3, found 4",
  )
  rmSync(out, { recursive: true })
})

describe("RUN@STEP", () => {
  const parsed = (text: string) => Effect.runSync(branchRequest(text, ["lr=1"]))

  test("is divided at the last @", () => {
    expect(parsed("arm=a@b seed=1@50")).toEqual({ run: "arm=a@b seed=1", at: 50, set: ["lr=1"] })
    expect(parsed(" seed=1 @ 0 ")).toEqual({ run: "seed=1", at: 0, set: ["lr=1"] })
  })

  test.each([
    "seed=1",
    "@50",
    "seed=1@",
    "seed=1@x",
    "seed=1@-1",
    "seed=1@1.5",
    " @3",
    `a@${"9".repeat(20)}`,
  ])("%p is refused", (text) => {
    const { message } = Effect.runSync(Effect.flip(branchRequest(text, [])))
    expect(message).toBe(`--branch ${text}: expected RUN@STEP, such as 'seed=2 lr=1e-3@50'`)
  })
})
