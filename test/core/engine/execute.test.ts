import { afterEach, beforeEach, expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Effect, Fiber } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { UnitFailure } from "../../../core/api/failure.ts"
import { plugin } from "../../../core/api/plugin.ts"
import type { Event } from "../../../core/engine/execute.ts"
import { Store } from "../../../core/engine/store/store.ts"
import { exists } from "../../../core/io/files.ts"
import { source, walk } from "../sample/plugins.ts"
import { carryOut, inStore, planOfTargets, planSample } from "../sample/study.ts"

let out: string
beforeEach(async () => {
  out = await fs.mkdtemp(join(tmpdir(), "kasosei-execute-"))
})
afterEach(() => fs.rm(out, { recursive: true, force: true }))

const digests = Effect.fnUntraced(function* (...settings: readonly string[]) {
  const plan = yield* planSample(...settings)
  return [...plan.stored.values()].map((entry) =>
    entry.status === "done" ? entry.manifest.digest : entry.status,
  )
})

const page = Effect.fnUntraced(function* (...settings: readonly string[]) {
  const store = yield* Store
  const plan = yield* planSample(...settings)
  const folder = yield* store.open(plan.graph.targets["report"]![0]!)
  return yield* Effect.promise(() => fs.readFile(join(folder, "index.html"), "utf8"))
})

test("every unit is made once, and a second run makes nothing", async () => {
  const events: Event[] = []
  const first = await inStore(
    out,
    Effect.flatMap(planSample(), (plan) => carryOut(plan, events)),
  )
  expect(first).toEqual({ made: 10, reused: 0, failures: [] })
  expect(events.filter(({ type }) => type === "started")).toHaveLength(6)
  const second = await inStore(
    out,
    Effect.flatMap(planSample(), (plan) => carryOut(plan)),
  )
  expect(second).toEqual({ made: 0, reused: 10, failures: [] })
  // 1 + 2 + 3 + 4 + 5, plus the seed 2
  expect(await inStore(out, page())).toContain('[{"lr":2},2,17]')
})

test("only what is new runs: another learning rate, then a probe at other steps of finished runs", async () => {
  await inStore(out, Effect.flatMap(planSample("lr=1"), carryOut))
  const wider = await inStore(out, planSample("lr=1,2"))
  expect(wider.jobs.map(({ unit }) => unit.label)).toEqual([
    "sample-walk lr=2 seed=1",
    "sample-walk lr=2 seed=2",
    "sample-listing title=sums",
  ])
  const elsewhere = await inStore(out, planSample("lr=1", "observe=2"))
  expect(elsewhere.jobs.map(({ unit, wanted, observers }) => [unit.label, wanted, observers.length])).toEqual(
    [
      ["sample-walk lr=1 seed=1", false, 1],
      ["sample-walk lr=1 seed=2", false, 1],
      ["sample-listing title=sums", true, 0],
    ],
  )
  await inStore(out, carryOut(elsewhere))
  expect(await inStore(out, page("lr=1", "observe=2"))).toContain('[1,[{"step":2,"sum":4}]]')
})

test("a run that diverges is a result: the report lists it, and it is not tried again", async () => {
  const diverging = ["divergeAt=2"] as const
  const summary = await inStore(out, Effect.flatMap(planSample(...diverging), carryOut))
  expect(summary.made).toBe(6)
  expect(
    summary.failures.map(({ unit, status, reason, step }) => [unit.label, status, reason, step]),
  ).toEqual([
    ["sample-walk lr=2 seed=1", "diverged", "the sum is NaN", 2],
    ["sample-walk lr=2 seed=2", "diverged", "the sum is NaN", 2],
    ["sample-watch lr=2 seed=1", "diverged", "the sum is NaN", 2],
    ["sample-watch lr=2 seed=2", "diverged", "the sum is NaN", 2],
  ])
  expect(await inStore(out, page(...diverging))).toContain('["diverged","the sum is NaN"]')
  const again = await inStore(out, planSample(...diverging))
  expect(again.jobs).toEqual([])
  expect((await inStore(out, carryOut(again))).failures).toHaveLength(4)
})

test("a probe that observed all its steps before the run diverged keeps its rows", async () => {
  const summary = await inStore(out, Effect.flatMap(planSample("divergeAt=2", "observe=0,2"), carryOut))
  expect(summary.failures.map(({ unit }) => unit.plugin.name)).toEqual(["sample-walk", "sample-walk"])
})

test("a unit that fails is tried again in the next run, and the report is then remade", async () => {
  const failing = await inStore(out, Effect.flatMap(planSample("failAt=2"), carryOut))
  expect(failing.failures).toHaveLength(4)
  const again = await inStore(out, planSample("failAt=2"))
  expect(again.jobs.map(({ unit }) => unit.plugin.name)).toEqual([
    "sample-walk",
    "sample-walk",
    "sample-listing",
  ])
})

test("a probe that requests a step past the end of the run fails alone", async () => {
  const summary = await inStore(out, Effect.flatMap(planSample("observe=9"), carryOut))
  expect(summary.failures.map(({ unit }) => unit.plugin.name)).toEqual(new Array(4).fill("sample-watch"))
  expect(summary.failures[0]!.reason).toContain("from 0 to 5, the end of the run, found 9")
})

test("a run that is stopped at any moment and resumed gives the same bits", async () => {
  await inStore(out, Effect.flatMap(planSample("slow=3"), carryOut))
  const expected = await inStore(out, digests("slow=3"))
  for (const milliseconds of [5, 17, 40]) {
    const other = await fs.mkdtemp(join(tmpdir(), "kasosei-stopped-"))
    const start = Effect.flatMap(planSample("slow=3"), carryOut)
    await inStore(
      other,
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(start)
        yield* Effect.sleep(milliseconds)
        yield* Fiber.interrupt(fiber)
        yield* start
      }),
    )
    expect(await inStore(other, digests("slow=3"))).toEqual(expected)
    expect(await fs.readdir(join(other, "scratch"))).toEqual([])
    await fs.rm(other, { recursive: true })
  }
})

test("the estimate follows the costs: two processes take half as long if no job waits", async () => {
  const plan = await inStore(out, planSample())
  // 4 runs of 5 MFLOP with a probe of 1 MFLOP each, on two processes of 1 GFLOP/s
  expect(plan.estimate.flops).toBeCloseTo(24e6)
  expect(plan.estimate.seconds).toBeCloseTo(0.012)
  expect(plan.estimate.measured).toBe(false)
})

test("a failure is reported once: units that need the output are not started", async () => {
  const events: Event[] = []
  const summary = await inStore(
    out,
    Effect.flatMap(planSample("lr=1", "broken=true"), (plan) => carryOut(plan, events)),
  )
  const [root, ...others] = summary.failures
  expect(root!.without).toBeUndefined()
  expect(others.map(({ without }) => without?.key)).toEqual(new Array(4).fill(root!.unit.key))
  expect(others[0]!.reason).toContain("not started: it needs the output of sample-source count=5 broken=true")
  expect(events.filter(({ type }) => type === "started").map(({ job }) => job.unit.plugin.name)).toEqual([
    "sample-source",
    "sample-listing",
  ])
})

/** Fails once the file is gone. */
const late = plugin({
  name: "sample-late",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "",
  options: type({ "+": "reject", file: "string" }),
  takes: {},
  gives: source.gives,
  usesBackend: false,
  estimate: () => ({ artifact: { count: 1 }, cost: cost({}) }),
  run: Effect.fn("late")(function* ({ options }) {
    while (yield* exists(options.file)) yield* Effect.sleep(5)
    return yield* new UnitFailure({ outcome: "failed", reason: "too late" })
  }),
})

/** Takes a walk and what comes late. */
const both = plugin({
  name: "sample-both",
  stage: "finetune",
  version: 1,
  module: import.meta.url,
  summary: "",
  options: type({ "+": "reject" }),
  takes: { run: walk.gives, data: source.gives },
  gives: source.gives,
  usesBackend: false,
  estimate: (_options, { data }) => ({ artifact: data, cost: cost({}) }),
  run: ({ inputs }) => Effect.succeed(inputs.data),
})

test("what runs for a unit that cannot be made any more is stopped, and goes on from there once it is needed", async () => {
  const [file, hold] = [join(out, "late"), join(out, "hold")]
  await fs.writeFile(file, "")
  await fs.writeFile(hold, "")
  const data = late({ file })
  const run = walk({ data: source({ count: 5 }), seed: 1, lr: 1, hold })
  const events: Event[] = []
  const summary = await inStore(
    out,
    Effect.gen(function* () {
      const plan = yield* planOfTargets({ both: both({ run, data }) })
      const fiber = yield* Effect.forkChild(carryOut(plan, events))
      const isRunning = () =>
        events.some((event) => event.type === "started" && event.job.unit.plugin.name === "sample-walk")
      while (!isRunning()) yield* Effect.sleep(5)
      yield* Effect.promise(() => fs.rm(file))
      return yield* Fiber.join(fiber)
    }),
  )
  const told = summary.failures.map(({ unit, kind, reason, without }) => [
    unit.plugin.name,
    kind,
    reason,
    without?.plugin.name,
  ])
  const label = summary.failures.find(({ kind }) => kind === "plugin")!.unit.label
  expect(told.sort()).toEqual([
    ["sample-both", "blocked", `not started: it needs the output of ${label}`, "sample-late"],
    ["sample-late", "plugin", "too late", undefined],
    [
      "sample-walk",
      "unneeded",
      `stopped, with its state kept: nothing that can still be made without ${label} needs it`,
      "sample-late",
    ],
  ])
  expect(summary.made).toBe(1)
  const ends = events.filter(({ type, job }) => type === "ended" && job.unit.plugin.name === "sample-walk")
  expect(ends).toHaveLength(1)
  expect(await fs.readdir(join(out, "scratch"))).toHaveLength(1)
  await fs.rm(hold)
  const next = await inStore(out, Effect.flatMap(planOfTargets({ run }), carryOut))
  expect([next.made, next.reused, next.failures]).toEqual([1, 1, []])
  expect(await fs.readdir(join(out, "scratch"))).toEqual([])
})
