/** Probes that take inputs besides the run that they watch, and probes that change it. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { cohort, mapCohort, type Targets } from "../../../core/api/pipeline.ts"
import { cohorts, optional } from "../../../core/api/plugin.ts"
import { probe } from "../../../core/api/probe.ts"
import { observationsOf } from "../../../core/artifacts/observations.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { computingOf } from "../../../core/engine/key.ts"
import type { Plan } from "../../../core/engine/plan.ts"
import { Store } from "../../../core/engine/store/store.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { source, type WalkView, walk, watchSum } from "../sample/plugins.ts"
import { carryOut, inStore, planOfTargets } from "../sample/study.ts"

let out: string
beforeEach(async () => {
  out = await fs.mkdtemp(join(tmpdir(), "kasosei-probe-inputs-"))
})
afterEach(() => fs.rm(out, { recursive: true, force: true }))

const Row = type({ step: "number", distance: "number", others: "string" })

/** How far the sum is from that of a source, at some steps, and what became of other walks. */
const distance = probe<WalkView, { count: number }>()({
  name: "sample-distance",
  version: 1,
  module: import.meta.url,
  summary: "The distance of the sum from another",
  options: type({ "+": "reject", steps: "number[]" }),
  takes: { from: source.gives, to: optional(source.gives), others: cohorts(walk.gives) },
  gives: observationsOf(Row),
  steps: ({ steps }) => steps,
  observe: ({ step, sum }, { inputs }) => {
    const ends = [...inputs.from, ...(inputs.to ?? [])]
    const others = inputs.others.flatMap(({ members }) => members.map(({ outcome }) => outcome.status))
    return [{ step, distance: sum - ends.reduce((all, x) => all + x, 0), others: others.join(" ") }]
  },
  estimate: ({ steps }, _run, { from, to, others }) => ({
    rows: steps.length,
    cost: cost({
      flops: from.count + 10 * (to?.count ?? 0) + 100 * others.flatMap(({ members }) => members).length,
    }),
  }),
})

/** Writes into the run's own list of sums at a step. */
const vandal = probe<WalkView, { count: number }>()({
  name: "sample-vandal",
  version: 1,
  module: import.meta.url,
  summary: "Changes what it watches",
  options: type({ "+": "reject", at: "number" }),
  gives: observationsOf(Row),
  steps: ({ at }) => [at],
  observe: ({ sums }) => {
    ;(sums as number[])[0] = 100
    return []
  },
  estimate: () => ({ rows: 0, cost: cost({}) }),
})

const data = source({ count: 4 })
const run = walk({ data, seed: 1, lr: 1 })
const distanceOf = (given: object = {}) =>
  distance({ run, steps: [0, 4], from: source({ count: 2 }), others: [], ...given })

const carriedOut = (targets: Targets) => inStore(out, Effect.flatMap(planOfTargets(targets), carryOut))
const planned = (targets: Targets): Promise<Plan> => inStore(out, planOfTargets(targets))
const rowsOf = (targets: Targets) =>
  inStore(
    out,
    Effect.gen(function* () {
      const store = yield* Store
      const unit = (yield* planOfTargets(targets)).graph.targets["rows"]![0]!
      return yield* distance.gives.read(yield* store.open(unit))
    }),
  )
const problemsOf = async (targets: Targets) =>
  (await Effect.runPromise(Effect.flip(graphOf(targets, computingOf(cpu, "fp32"))))).problems

describe("a probe that takes inputs", () => {
  test("gets them as a plugin does", async () => {
    const rows = distanceOf({ to: source({ count: 3 }) })
    expect(await carriedOut({ rows })).toMatchObject({ failures: [] })
    // 1 and 11 are the sums at the start and the end; 3 and 6 those of the sources.
    expect(await rowsOf({ rows })).toEqual([
      { step: 0, distance: 1 - 9, others: "" },
      { step: 4, distance: 11 - 9, others: "" },
    ])
  })

  test("has them in its key and in its estimate", async () => {
    const two = await planned({ rows: distanceOf(), other: distanceOf({ from: source({ count: 3 }) }) })
    const [one] = two.graph.targets["rows"]!
    const [other] = two.graph.targets["other"]!
    expect(one!.key).not.toBe(other!.key)
    expect([one!.cost.flops, other!.cost.flops]).toEqual([2, 3])
    const others = [cohort({ lr: 2 }, [1, 2], (seed) => walk({ data, seed, lr: 2 }))]
    const all = await planned({ rows: distanceOf({ to: source({ count: 5 }), others }) })
    expect(all.graph.targets["rows"]![0]!.cost.flops).toBe(2 + 50 + 200)
  })

  test("waits for them with its run, which is replayed if it is stored", async () => {
    expect(await carriedOut({ run })).toMatchObject({ made: 2 })
    const rows = distanceOf()
    const plan = await planned({ rows })
    expect(
      plan.jobs.map(({ unit, wanted, observers }) => [unit.plugin.name, wanted, observers.length]),
    ).toEqual([
      ["sample-walk", false, 1],
      ["sample-source", true, 0],
    ])
    // The sum of two sources, 4 and 2 numbers, takes no time; the run must come after the second.
    expect(await inStore(out, carryOut(plan))).toMatchObject({ made: 2, failures: [] })
    expect(await rowsOf({ rows })).toHaveLength(2)
  })

  test("fails alone if one of them failed, and the run continues with its other probes", async () => {
    const broken = source({ count: 2, broken: true })
    const seen = watchSum({ run, steps: [0] })
    const { failures, made } = await carriedOut({ run, seen, rows: distanceOf({ from: broken }) })
    expect(failures.map(({ unit, reason }) => [unit.plugin.name, reason])).toEqual([
      ["sample-source", "the source is broken"],
      ["sample-distance", "not started: it needs the output of sample-source count=2 broken=true"],
    ])
    expect(made).toBe(3)
    // A stored run is not replayed for a probe that cannot start.
    const again = await carriedOut({ rows: distanceOf({ from: broken }) })
    expect(again.failures.map(({ unit }) => unit.plugin.name)).toEqual(["sample-source", "sample-distance"])
  })

  test("fails alone if one of them is damaged", async () => {
    const from = source({ count: 2 })
    await carriedOut({ from })
    const files = (await fs.readdir(out, { recursive: true })).filter((name) => name.endsWith("numbers.json"))
    const numbers = await fs.readFile(join(out, files[0]!), "utf8")
    await fs.writeFile(join(out, files[0]!), numbers.replace("2", "3"))
    const { failures, made } = await carriedOut({ run, rows: distanceOf({ from }) })
    expect(failures.map(({ unit }) => unit.plugin.name)).toEqual(["sample-distance"])
    expect(failures[0]).toMatchObject({ kind: "input", reason: expect.stringContaining("numbers.json") })
    expect(made).toBe(2)
  })

  test("takes cohorts with their failed members, and the manifest says so", async () => {
    const others = [
      cohort({ lr: 2 }, [1, 2], (seed) => walk({ data, seed, lr: 2, failAt: seed === 2 ? 1 : -1 })),
    ]
    const rows = distanceOf({ others })
    const { failures } = await carriedOut({ rows })
    expect(failures.map(({ unit }) => unit.label)).toEqual(["sample-walk lr=2 seed=2"])
    // Made without a run that failed, so it is made again next time.
    expect((await planned({ rows })).jobs.map(({ unit }) => unit.label)).toEqual([
      "sample-walk lr=1 seed=1",
      "sample-walk lr=2 seed=2",
    ])
  })

  test("is refused with the input that is missing or of another kind", async () => {
    expect(
      await problemsOf({
        none: distance({ run, steps: [], others: [] } as never),
        wrong: distanceOf({ from: run }),
        single: distanceOf({ others: run }),
      }),
    ).toEqual([
      "sample-distance: from must be given, but nothing is wired to it",
      "sample-distance: from: expected a plugin's result of kind source, found sample-walk, which gives walk",
      "sample-distance: others: expected a list of cohorts of kind walk, found the single result of sample-walk",
    ])
  })

  test("is refused an input that is made from the run that it watches, or waits for it", async () => {
    const runs = cohort({ lr: 3 }, [1], () => run)
    expect(await problemsOf({ rows: distanceOf({ others: [runs] }) })).toEqual([
      "sample-distance: others: expected what can be made before the run that it watches starts, found sample-walk lr=3 seed=1, which is that run or needs it",
    ])
    const pair = cohort({ lr: 1 }, [1, 2], (seed) => walk({ data, seed, lr: 1 }))
    const swapped = mapCohort(pair, (watched, seed) =>
      distance({
        run: watched,
        steps: [],
        from: data,
        others: [cohort({ lr: 1 }, [1], () => pair.members.find((member) => member.seed !== seed)!.node)],
      }),
    )
    expect(await problemsOf({ rows: [swapped] })).toHaveLength(2)
  })

  test("is typed: wrong inputs do not compile", () => {
    const from = data
    // @ts-expect-error the input `others` is missing
    distance({ run, steps: [], from })
    // @ts-expect-error a walk is not a source
    distance({ run, steps: [], from: run, others: [] })
    const definition = {
      name: "sample-run",
      version: 1,
      module: import.meta.url,
      summary: "",
      options: type({ "+": "reject" }),
      gives: observationsOf(Row),
      steps: () => [],
      observe: () => [],
      estimate: () => ({ rows: 0, cost: cost({}) }),
    }
    // @ts-expect-error the run has the name `run`
    probe<WalkView, { count: number }>()({ ...definition, takes: { run: source.gives } })
  })
})

test("a probe that changes its run fails alone; the artifact is that of an unwatched run", async () => {
  await carriedOut({ run })
  const alone = (await planned({ run })).stored
  const other = await fs.mkdtemp(join(tmpdir(), "kasosei-vandal-"))
  const seen = watchSum({ run, steps: [0, 2, 4] })
  const targets = { run, harm: vandal({ run, at: 2 }), seen }
  const { failures, made } = await inStore(other, Effect.flatMap(planOfTargets(targets), carryOut))
  expect(made).toBe(3)
  expect(failures).toMatchObject([
    {
      unit: { label: "sample-vandal at=2" },
      step: 2,
      reason: expect.stringContaining("it changed the sums"),
    },
  ])
  const { stored, graph } = await inStore(other, planOfTargets(targets))
  const digestOf = (of: Plan["stored"]) => {
    const entry = of.get(graph.targets["run"]![0]!.key)
    return entry?.status === "done" ? entry.manifest.digest : undefined
  }
  expect(digestOf(stored)).toBeString()
  expect(digestOf(stored)).toBe(digestOf(alone))
  await fs.rm(other, { recursive: true })
})
