/**
 * What a plan of very many units costs in time and memory before and beside the computing: its graph, the plan, the
 * bookkeeping while it runs, and what is displayed. Nothing is computed; the store is empty and in memory.
 *
 *     bun test/soak/units.ts [UNITS …]       10000, 100000 and 240000 by default, each in a process of its own
 */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect, Layer } from "effect"
import { cohort, grid, mapCohort } from "../../core/api/pipeline.ts"
import { Display } from "../../core/cli/display.ts"
import { planLines } from "../../core/cli/plan-table.ts"
import { execute } from "../../core/engine/execute.ts"
import { graphOf } from "../../core/engine/graph.ts"
import { keysGivenBy, planOf } from "../../core/engine/plan.ts"
import type { JobRunner } from "../../core/engine/processes.ts"
import { Store } from "../../core/engine/store/store.ts"
import { listing, source, walk, watchSum } from "../core/sample/plugins.ts"

const rates = 100

/**
 * A grid of learning rates with as many seeds each as it takes, a probe for every run, one report.
 *
 * @param count of the data: all units depend on it
 */
export const targetsOf = (units: number, count = 5) => {
  const data = source({ count })
  const seeds = Array.from({ length: Math.round(units / 2 / rates) }, (_, seed) => seed + 1)
  const lr = Array.from({ length: rates }, (_, index) => (index + 1) / 1000)
  const runs = grid({ lr }, (point) =>
    cohort({ lr: point.lr }, seeds, (seed) => walk({ data, seed, lr: point.lr })),
  )
  const seen = runs.map((each) => mapCohort(each, (run) => watchSum({ run, steps: [0, 3] })))
  return { report: listing({ runs, seen, title: "many" }) }
}

const none = () => Effect.die("nothing is computed here")

const emptyStore = Layer.succeed(
  Store,
  Store.of({
    root: "",
    stored: () => Effect.succeed({ status: "absent" }),
    entries: () => Effect.succeed([]),
    writeFailure: () => Effect.void,
    write: none,
    writeDivergence: none,
    adopt: none,
    open: none,
    scratch: none,
    freeScratch: none,
    setAside: none,
    restoreCode: none,
    removeHalfWritten: Effect.void,
  }),
)

/** Every job ends at once, after it has reported its progress ten times. */
const runner: JobRunner = (job, _missing, { started, progress }) =>
  Effect.gen(function* () {
    yield* started
    for (let done = 1; done <= 10; done++) yield* progress({ done, total: 10, note: "loss 0.6931" })
    yield* Effect.yieldNow
    return keysGivenBy(job).map((key) => ({ key, status: "done", seconds: 1 }) as const)
  })

const simulate = (units: number) =>
  Effect.gen(function* () {
    const began = performance.now()
    let before = 0
    const times: [string, number][] = []
    /** CPU time, since other programs may run meanwhile. */
    const lap = (what: string) => {
      const { user, system } = process.cpuUsage()
      const now = (user + system) / 1e6
      times.push([what, now - before])
      before = now
    }
    lap("start")
    const targets = targetsOf(units)
    lap("pipeline")
    const graph = yield* graphOf(targets, { arithmetic: "cpu", sources: {}, packages: {} })
    lap("graph")
    const plan = yield* planOf(graph, {
      backend: "cpu",
      flopsPerSecond: () => 1e9,
      threads: () => 1,
      processes: 16,
    })
    lap("plan")
    const table = planLines("many", plan, new Map(), 80)
    lap("table")
    let written = 0
    const display = new Display(plan, {
      isTTY: true,
      columns: 80,
      rows: 24,
      write: (text) => {
        written += text.length
      },
    })
    const summary = yield* execute(plan, runner, (event) => Effect.sync(() => display.onEvent(event)))
    display.close()
    lap("execute")
    const peak = process.resourceUsage().maxRSS * 1024
    const all = (performance.now() - began) / 1000
    const laps = times.map(([what, seconds]) => `${what} ${seconds.toFixed(2)}`).join(", ")
    console.log(
      `${graph.units.length} units (${summary.made} made): ${before.toFixed(1)} s of CPU time (${laps}), ${all.toFixed(1)} s in all, ${(peak / 1e6).toFixed(0)} MB; ${table.length} lines of plan, ${(written / 1e3).toFixed(0)} kB displayed`,
    )
  })

const [, script, ...sizes] = process.argv
if (process.env["SOAK_UNITS"] !== undefined)
  await Effect.runPromise(Effect.provide(simulate(Number(process.env["SOAK_UNITS"])), emptyStore))
else if (script === fileURLToPath(import.meta.url))
  for (const units of sizes.length > 0 ? sizes : ["10000", "100000", "240000"])
    spawnSync(process.execPath, [script], { stdio: "inherit", env: { ...process.env, SOAK_UNITS: units } })
