import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { endLines, hasFailed, startLines } from "../../../core/cli/run-lines.ts"
import { carryOut, inStore, planSample } from "../sample/study.ts"

let out: string
beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), "kasosei-lines-"))
})
afterAll(() => rmSync(out, { recursive: true, force: true }))

const around = {
  backend: "native",
  instructions: "AVX-512",
  precision: "fp32",
  threads: 1,
  out: "out",
} as const

test("a run starts with how many units there are to do, how long that takes, and on what", async () => {
  const plan = await inStore(out, planSample())
  expect(startLines("sample", plan, around)).toEqual([
    "sample: 4 runs, 4 probes and 2 other units to do, 0.0 s or more on native (AVX-512), float32, 2 jobs × 1 thread, out/",
  ])
  expect(
    startLines("sample", plan, {
      ...around,
      instructions: undefined,
      precision: "bf16",
      threads: undefined,
      out: "a\tb/",
    }),
  ).toEqual([
    "sample: 4 runs, 4 probes and 2 other units to do, 0.0 s or more on native, bfloat16, 2 jobs, a\\tb/",
  ])
})

test("replayed runs are told as such, and why what is there already does not do", async () => {
  await inStore(out, Effect.flatMap(planSample("lr=1"), carryOut))
  const plan = await inStore(out, planSample("lr=1", "observe=2"))
  expect(startLines("sample", plan, around)).toEqual([
    expect.stringContaining("sample: 2 probes and 1 other unit to do, 2 runs replayed, "),
    "  why: option steps 0,3 → 2 (2), input seen: 2 of 2 are new (1)",
  ])
  const done = await inStore(out, planSample("lr=1"))
  expect(startLines("sample", done, around)).toEqual(["sample: nothing to do: all 6 units are done"])
})

test("what nothing needs again is not made again, and told to be gone; runs that are only replayed never were there", async () => {
  await inStore(out, Effect.flatMap(planSample("lr=1"), carryOut))
  const artifacts = join(out, "artifacts")
  const [run] = (await fs.readdir(artifacts)).filter((name) => name.startsWith("sample-walk"))
  await fs.rm(join(artifacts, run!), { recursive: true })
  const lines = startLines("sample", await inStore(out, planSample("lr=1")), around)
  expect(lines).toEqual([
    "sample: nothing to do: the targets are done; 1 unit that they were made from is not in the store any more",
  ])
})

const ended = (...settings: readonly string[]) =>
  inStore(
    out,
    Effect.gen(function* () {
      const plan = yield* planSample(...settings)
      const summary = yield* carryOut(plan)
      return { lines: endLines(summary, 7), failed: hasFailed(plan, summary) }
    }),
  )

test("a run ends with divergences apart from failures, each told once with its probes", async () => {
  expect(await ended("seeds=3", "divergeAt=2")).toEqual({
    failed: false,
    lines: [
      "3 units made, 1 reused, 0 failed, 2 diverged in 7.0 s",
      "  sample-walk lr=2 seed=3 diverged at step 2: the sum is NaN",
    ],
  })
  expect(await ended("seeds=4", "failAt=2")).toMatchObject({
    failed: true,
    lines: [expect.stringContaining(" 2 failed in 7.0 s"), "  sample-walk lr=2 seed=4 failed: asked to fail"],
  })
})

test("what needs a unit that failed is counted with it, as not made", async () => {
  const { lines, failed } = await ended("lr=1", "seeds=5", "broken=true")
  expect(failed).toBe(true)
  expect(lines[0]).toContain("1 failed, 2 not made in")
  expect(lines.slice(1)).toEqual([
    "  sample-source count=5 broken=true failed: the source is broken (2 dependent units not started)",
  ])
})
