import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../../core/api/cost.ts"
import { probe } from "../../../core/api/probe.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import type { Computing } from "../../../core/engine/key.ts"
import { type Job, jobFor, planOf } from "../../../core/engine/plan.ts"
import { Store } from "../../../core/engine/store/store.ts"
import { writeFile } from "../../../core/io/files.ts"
import { source, type WalkView, walk, watchSum } from "../sample/plugins.ts"
import { carryOut, estimating, inStore, madeBy, planSample, planSampleOn } from "../sample/study.ts"

let out: string
beforeEach(async () => {
  out = await fs.mkdtemp(join(tmpdir(), "kasosei-plan-"))
})
afterEach(() => fs.rm(out, { recursive: true, force: true }))

describe("a run that is replayed for its probes", () => {
  /** A run of 10 steps of 1 MFLOP, and 4 MFLOP at its end. */
  const jobWith = async (steps: readonly number[], finish = false): Promise<Job> => {
    const run = walk({ data: source({ count: 10 }), seed: 1, lr: 1 })
    const looking = probe<WalkView, { count: number }>()({
      name: "looking",
      version: 1,
      module: import.meta.url,
      summary: "Looks",
      options: type({ "+": "reject" }),
      gives: watchSum.gives,
      steps: () => steps,
      observe: () => [],
      ...(finish ? { finish: () => [] } : {}),
      estimate: () => ({ rows: 0, cost: cost({ flops: 5e5 }) }),
    })
    const targets = { seen: looking({ run }) }
    const computing = { arithmetic: "cpu", sources: {}, packages: {} }
    const { units } = await Effect.runPromise(graphOf(targets, computing))
    const observers = units.filter(({ watched }) => watched !== null)
    const watched = observers[0]!.watched!
    const whole = { ...watched, cost: cost({ flops: 14e6, calls: 140, disk: 100, memory: 7 }) }
    return jobFor(whole, false, observers)
  }

  test.each([
    [[0], 0],
    [[0, 3], 3e6],
    [[10], 10e6],
    // Beyond its end, where the probe will fail.
    [[99], 10e6],
  ])("costs its updates up to the last look: at %j", async (steps, flops) => {
    const job = await jobWith(steps)
    expect(job.own).toEqual(cost({ flops, calls: flops / 1e5, memory: 7 }))
    expect(job.cost.flops).toBe(flops + 5e5)
  })

  test("costs all its updates if a probe needs its end", async () => {
    expect((await jobWith([2], true)).own.flops).toBe(10e6)
  })

  test("is estimated so by the plan of the sample", async () => {
    await inStore(out, Effect.flatMap(planSample("lr=1", "seeds=1"), carryOut))
    const plan = await inStore(out, planSample("lr=1", "seeds=1", "observe=2"))
    // Two of five steps, and the probe.
    expect(plan.estimate.flops).toBe(2e6 + 1e6)
    expect(plan.estimate.disk).toBe(0)
  })
})

test("on a device, a job takes no less than its calls, and the memory of a run also has a probe's copies", async () => {
  const copying = probe<WalkView, { count: number }>()({
    name: "copying",
    version: 1,
    module: import.meta.url,
    summary: "Copies",
    options: type({ "+": "reject", bytes: "number" }),
    gives: watchSum.gives,
    steps: () => [0],
    observe: () => [],
    estimate: ({ bytes }) => ({ rows: 0, cost: cost({ flops: 1e6, calls: 5000, memory: 3, copies: bytes }) }),
  })
  const run = walk({ data: source({ count: 10 }), seed: 1, lr: 1 })
  const targets = { seen: copying({ run, bytes: 40 }), more: copying({ run, bytes: 50 }) }
  const computing = { arithmetic: "cuda", sources: {}, packages: {} }
  const plans = Effect.gen(function* () {
    const graph = yield* graphOf(targets, computing)
    const settings = { ...estimating, backend: "cuda", flopsPerSecond: () => 1e9, processes: 1 }
    return [
      yield* planOf(graph, settings),
      yield* planOf(graph, { ...settings, device: { secondsPerCall: 1e-5 } }),
    ]
  })
  const [processor, device] = await inStore(out, plans)
  // The run takes 1 MB. Of its probes, one at a time has copies.
  expect([processor!, device!].map(({ estimate }) => estimate.memory)).toEqual([1e6, 1e6 + 50])
  expect(device!.jobs.map((job) => job.cost.memory)).toContain(1e6 + 50)
  // Each probe has 1 MFLOP, at 1 GFLOP/s, in 5,000 calls of 10 µs.
  expect(device!.estimate.seconds - processor!.estimate.seconds).toBeCloseTo(2 * (0.05 - 0.001))
})

describe("the speed of the machine", () => {
  const native = (source: string): Computing => ({
    arithmetic: "native",
    sources: { "kernel.cpp": source },
    packages: {},
  })
  const settings = ["lr=1", "seeds=1..5"]

  /** Stores the probes of the sample as if each of its 1 MFLOP had taken this long, s. */
  const timed = (computing: Computing, seconds: (index: number) => number) =>
    inStore(
      out,
      Effect.gen(function* () {
        const { graph } = yield* planSampleOn(computing, settings)
        const store = yield* Store
        for (const [index, unit] of graph.units.filter(({ plugin }) => plugin.usesBackend).entries()) {
          const making = { backend: computing.arithmetic, missing: [], seconds: seconds(index), madeBy }
          yield* store.write(unit, making, (folder) => writeFile(join(folder, "a"), "1"))
        }
      }),
    )

  test("survives an edit that leaves none of what was timed under today's keys", async () => {
    await timed(native("before"), () => 0.5)
    const { estimate, stored } = await inStore(out, planSampleOn(native("after"), settings))
    expect([...stored.values()].every(({ status }) => status === "absent")).toBe(true)
    expect([estimate.measured, estimate.flopsPerSecond]).toEqual([true, 2e6])
  })

  test("is that of a machine that does nothing else: units that waited for a busy one do not change it", async () => {
    await timed(native("before"), (index) => (index < 4 ? 100 : 0.25))
    const { estimate } = await inStore(out, planSampleOn(native("after"), settings))
    expect(estimate.flopsPerSecond).toBeCloseTo(4e6)
  })

  test("is not that of another backend or precision", async () => {
    await timed(native("before"), () => 0.5)
    for (const arithmetic of ["wasm", "native bf16"]) {
      const plan = await inStore(out, planSampleOn({ ...native("before"), arithmetic }, settings))
      expect([plan.estimate.measured, plan.estimate.flopsPerSecond]).toEqual([false, 1e9])
    }
  })

  test("is each plugin's own, and for what was never timed that of the others", async () => {
    await timed(native("before"), () => 0.5)
    const plan = await inStore(
      out,
      Effect.gen(function* () {
        const { graph } = yield* planSampleOn(native("after"), settings)
        return yield* planOf(graph, { ...estimating, backend: "native", processes: 1 })
      }),
    )
    // 5 runs of 5 MFLOP and 5 probes of 1 MFLOP, at 2 MFLOP/s
    expect(plan.estimate.seconds).toBeCloseTo(15)
  })
})
