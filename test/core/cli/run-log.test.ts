import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { RunLog, summaryForms } from "../../../core/cli/run-log.ts"
import type { UnitOutcome } from "../../../core/engine/job.ts"
import { type Job, keysGivenBy, type Plan } from "../../../core/engine/plan.ts"
import { inStore, planSample } from "../sample/study.ts"

let out: string
let plan: Plan
beforeAll(async () => {
  out = mkdtempSync(join(tmpdir(), "kasosei-log-"))
  plan = await inStore(out, planSample("lr=1", "seeds=1..100"))
})
afterAll(() => rmSync(out, { recursive: true, force: true }))

const runs = () => plan.jobs.filter(({ unit }) => unit.plugin.name === "sample-walk")
const done = (job: Job): readonly UnitOutcome[] =>
  keysGivenBy(job).map((key) => ({ key, status: "done", seconds: 1 }))

const started = (log: RunLog, job: Job, now: number) => log.onEvent({ type: "started", job }, now)
const ended = (log: RunLog, job: Job, outcomes: readonly UnitOutcome[], now: number) =>
  log.onEvent({ type: "ended", job, outcomes }, now)

describe("a job that ends", () => {
  test("has a line with how many units of how many are done", () => {
    const log = new RunLog(plan, 0)
    const [source] = plan.jobs
    const [first] = runs()
    expect(started(log, source!, 0)).toEqual([])
    expect(ended(log, source!, done(source!), 2)).toEqual([
      "[1/202] sample-source count=5 broken=false 2.0 s",
    ])
    started(log, first!, 2)
    expect(ended(log, first!, done(first!), 6)).toEqual([
      "[3/202] sample-walk lr=1 seed=1 with 1 probe 4.0 s",
    ])
  })

  test("tells a run that was only replayed as such", () => {
    const log = new RunLog(plan, 0)
    const job = { ...runs()[0]!, wanted: false }
    const known = new RunLog({ ...plan, jobs: [job] }, 0)
    started(known, job, 0)
    expect(ended(known, job, done(job), 1)).toEqual([
      "[1/1] sample-walk lr=1 seed=1 replayed for 1 probe 1.0 s",
    ])
    expect(log.units).toBe(202)
  })

  test("tells a divergence as one, with its step, once for the run and its probes", () => {
    const log = new RunLog(plan, 0)
    const [job] = runs()
    started(log, job!, 0)
    const diverged = keysGivenBy(job!).map(
      (key) => ({ key, status: "diverged", reason: "the loss is NaN", step: 12 }) as const,
    )
    expect(ended(log, job!, diverged, 3)).toEqual([
      "[2/202] sample-walk lr=1 seed=1 with 1 probe diverged at step 12: the loss is NaN 3.0 s",
    ])
    expect(log.endings).toEqual({ made: 0, diverged: 2, failed: 0, notMade: 0 })
  })

  test("tells what failed beside what was made, and nothing of what was not started", () => {
    const log = new RunLog(plan, 0)
    const [job, other] = runs()
    const [run, probe] = keysGivenBy(job!)
    started(log, job!, 0)
    const mixed: readonly UnitOutcome[] = [
      { key: run!, status: "done", seconds: 1 },
      { key: probe!, status: "failed", kind: "plugin", reason: "no such step" },
    ]
    expect(ended(log, job!, mixed, 1)).toEqual([
      "[2/202] sample-walk lr=1 seed=1 1.0 s",
      "[2/202] sample-watch lr=1 seed=1 failed: no such step 1.0 s",
    ])
    const blocked = keysGivenBy(other!).map(
      (key) => ({ key, status: "failed", kind: "blocked", reason: "not started", without: run! }) as const,
    )
    expect(ended(log, other!, blocked, 1)).toEqual([])
    expect(log.endings).toEqual({ made: 1, diverged: 0, failed: 1, notMade: 2 })
  })
})

describe("a job whose units another process makes", () => {
  test("is told once, counts as waiting until it starts again, and by whom it was made in the end", () => {
    const log = new RunLog(plan, 0)
    const [job] = runs()
    started(log, job!, 0)
    expect(log.onEvent({ type: "waiting", job: job!, by: "process 7" }, 1)).toEqual([
      "sample-walk lr=1 seed=1: process 7 makes it; waiting",
    ])
    expect([log.running.size, log.waiting.size]).toEqual([0, 1])
    expect(log.tick(61, false)).toEqual([expect.stringMatching(/so far · 1 waits for another process$/)])
    started(log, job!, 70)
    expect([log.running.size, log.waiting.size]).toEqual([1, 0])
    const there = keysGivenBy(job!).map(
      (key) => ({ key, status: "done", seconds: 0, elsewhere: true }) as const,
    )
    expect(ended(log, job!, there, 71)).toEqual([
      "[2/202] sample-walk lr=1 seed=1 with 1 probe made by another process",
    ])
  })

  test("is told as having been there, if nobody waited for it", () => {
    const log = new RunLog(plan, 0)
    const [job] = runs()
    started(log, job!, 0)
    const there = keysGivenBy(job!).map(
      (key) => ({ key, status: "done", seconds: 0, elsewhere: true }) as const,
    )
    expect(ended(log, job!, there, 1)).toEqual([
      "[2/202] sample-walk lr=1 seed=1 with 1 probe was there already",
    ])
  })

  test("says nothing about the pace here", () => {
    const log = new RunLog(plan, 0)
    const [first, second] = runs()
    started(log, first!, 0)
    const before = log.left(0)
    const there = keysGivenBy(first!).map((key) => ({ key, status: "done", seconds: 0 }) as const)
    ended(log, first!, there, 1000)
    started(log, second!, 1000)
    expect(log.left(1000)).toBeLessThanOrEqual(before)
  })
})

test("what the last minute had no line for is told at the end, once", () => {
  const log = new RunLog(plan, 0)
  for (const job of runs().slice(0, 40)) {
    started(log, job, 0)
    ended(log, job, done(job), 1)
  }
  expect(log.rest()).toEqual(["[80/202] 20 more units: 20 made"])
  expect(log.rest()).toEqual([])
})

test("very many jobs in a minute are summed up at its end, and each has its line again after that", () => {
  const log = new RunLog(plan, 0)
  const lines: string[] = []
  for (const [index, job] of runs().slice(0, 90).entries()) {
    const now = index / 2
    started(log, job, now)
    lines.push(...ended(log, job, done(job), now), ...log.tick(now, false))
  }
  expect(lines).toHaveLength(30)
  expect(log.tick(59, false)).toEqual([])
  expect(log.tick(60, false)).toEqual(["[180/202] 120 more units: 120 made"])
  expect(log.rest()).toEqual([])
  const [last] = runs().slice(-1)
  started(log, last!, 61)
  expect(ended(log, last!, done(last!), 62)).toHaveLength(1)
})

describe("where no live lines are drawn", () => {
  test("there is a line at least every minute while jobs run: what runs, how far all is, what remains", () => {
    const log = new RunLog(plan, 0)
    const [first, ...others] = runs().slice(0, 5)
    for (const job of [first!, ...others]) started(log, job, 0)
    log.onEvent({ type: "progress", job: first!, progress: { done: 1, total: 4, note: "loss 1" } }, 30)
    const lines: (readonly [number, string])[] = []
    for (let now = 1; now <= 360; now++) for (const line of log.tick(now, false)) lines.push([now, line])
    expect(lines.map(([now]) => now)).toEqual([60, 120, 180, 240, 300, 360])
    expect(lines[0]![1]).toMatch(
      /^0 of 202 units done · about .+ left · 60 s so far · running: sample-walk lr=1 seed=1 25 %, sample-walk lr=1 seed=2, sample-walk lr=1 seed=3 and 2 more$/,
    )
    expect(log.tick(420, true)).toEqual([])
  })

  test("there is one also while no job runs, which says so, until all units are settled", () => {
    const [job] = runs()
    const log = new RunLog({ ...plan, jobs: [job!] }, 0)
    const until = (end: number, from: number) => {
      const lines: string[] = []
      for (let now = from + 1; now <= end; now++) lines.push(...log.tick(now, false))
      return lines
    }
    expect(until(180, 0)).toEqual(
      Array.from({ length: 3 }, () =>
        expect.stringMatching(/^0 of 2 units done · .+ · no job has begun yet$/),
      ),
    )
    const [run, probe] = keysGivenBy(job!)
    started(log, job!, 180)
    ended(log, job!, [{ key: run!, status: "done", seconds: 1 }], 181)
    expect(until(241, 181)).toEqual([expect.stringMatching(/^1 of 2 units done · .+ · no job is running$/)])
    started(log, job!, 241)
    ended(log, job!, [{ key: probe!, status: "done", seconds: 1 }], 242)
    expect(until(600, 242)).toEqual([])
  })

  test("a job's own line counts as one", () => {
    const log = new RunLog(plan, 0)
    const [first, second] = runs()
    started(log, first!, 0)
    started(log, second!, 0)
    expect(ended(log, first!, done(first!), 50)).toHaveLength(1)
    expect(log.tick(60, false)).toEqual([])
    expect(log.tick(109, false)).toEqual([])
    expect(log.tick(110, false)).toHaveLength(1)
    expect(ended(log, second!, done(second!), 111)).toHaveLength(1)
    expect(log.tick(170, false)).toEqual([])
    expect(log.tick(171, false)).toEqual([expect.stringMatching(/ · no job is running$/)])
  })
})

test("the run on one line says as much as fits: what is done, what went wrong, what remains, how long it took", () => {
  const log = new RunLog(plan, 0)
  const [job] = runs()
  started(log, job!, 0)
  const failed = keysGivenBy(job!).map(
    (key) => ({ key, status: "failed", kind: "plugin", reason: "no" }) as const,
  )
  ended(log, job!, failed, 1)
  log.onEvent({ type: "started", job: runs()[1]! }, 1)
  const forms = summaryForms(log, 7500)
  const left = /about (.*) left/.exec(forms[0]!)![1]
  expect(forms).toEqual([
    `2 of 202 units done (2 failed) · about ${left} left · 2 h 5 min so far`,
    `2 of 202 (2 failed) · ${left} left · 2 h 5 min`,
    `2/202 · 2 failed · ${left} left · 2 h 5 min`,
    `2/202 · ${left} left · 2 h 5 min`,
    `2/202 · ${left} left · 2 h`,
  ])
})

test("however many units there are and however long they take, the shortest form fits 40 columns, the second 80", () => {
  const forms = summaryForms(
    {
      settled: 123_456,
      units: 240_000,
      endings: { made: 123_000, diverged: 400, failed: 56, notMade: 0 },
      left: () => 86_400 * 83 + 3600 * 14,
      elapsed: () => 86_400 * 70 + 3600 * 12,
    },
    0,
  )
  expect(forms.at(-1)).toBe("123456/240000 · 83 d left · 70 d")
  expect(forms[1]!.length).toBeLessThanOrEqual(80)
})
