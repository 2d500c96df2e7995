import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { planLines } from "../../../core/cli/plan-table.ts"
import { designOf } from "../../../core/engine/design.ts"
import { inStore, planSample } from "../sample/study.ts"

let out: string
beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), "kasosei-plan-"))
})
afterAll(() => rmSync(out, { recursive: true, force: true }))

const linesOf = async (width: number, ...settings: readonly string[]) => {
  const plan = await inStore(out, planSample(...settings))
  return planLines("sample", plan, await Effect.runPromise(designOf(plan.graph)), width)
}

/** The table of a plan: the header and its rows. */
const tableOf = async (width: number) => {
  const lines = await linesOf(width, "lr=1")
  return lines.slice(2, lines.indexOf("", 2))
}

test("a table that fits is not cut", async () => {
  expect(await tableOf(80)).toEqual([
    "stage     units                                  state    arithmetic  why",
    "data      sample-source count=5 broken=false  1  to do                never made",
    "finetune  sample-walk lr=1                    2  2 to do  10.0 MFLOP  never made",
    "probe     sample-watch lr=1                   2  2 to do  2.0 MFLOP   never made",
    "report    sample-listing title=sums           1  to do                never made",
  ])
})

test("on a narrower terminal, labels lose their middle and nothing else is lost", async () => {
  const whole = await tableOf(80)
  for (const width of [78, 72, 66]) {
    const table = await tableOf(width)
    expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(width)
    expect(table[1]).toMatch(/^data {6}sam.*….*alse {2}1 {2}to do {16}never made$/)
    const ends = (lines: readonly string[]) =>
      lines.map((line) => /(state|\d {2}(\d |to do)).*$/.exec(line)![0])
    expect(ends(table)).toEqual(ends(whole))
  }
})

test("on a terminal that is narrower still, every unit has lines of its own and nothing is lost", async () => {
  const lines = await linesOf(40, "lr=1")
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(40)
  expect(lines).toEqual([
    "sample: 2 runs, 2 probes and 2 other",
    "units to do",
    "",
    "data",
    "  sample-source count=5 broken=false",
    "    to do; never made",
    "finetune",
    "  sample-walk lr=1",
    "    2 to do; 10.0 MFLOP; never made",
    "probe",
    "  sample-watch lr=1",
    "    2 to do; 2.0 MFLOP; never made",
    "report",
    "  sample-listing title=sums",
    "    to do; never made",
    "",
    "arithmetic  12.0 MFLOP",
    "time        about 0.0 s on 2 processes",
    "            with backend cpu (1.0",
    "            GFLOP/s in each, assumed)",
    "memory      about 2.0 MB",
    "disk        40 B kept, up to 0 B more",
    "            while it runs",
  ])
})

test("on the narrowest terminals not even a label loses anything", async () => {
  const lines = await linesOf(24, "lr=1")
  const from = lines.indexOf("data")
  expect(lines.slice(from, from + 5)).toEqual([
    "data",
    "  sample-source count=5",
    "  broken=false",
    "    to do; never made",
    "finetune",
  ])
})

test("what the design of a target can show follows the costs, wrapped to the terminal", async () => {
  const lines = await linesOf(60, "seeds=7")
  expect(lines.at(-7)).toMatch(/^disk /)
  expect(lines.slice(-6)).toEqual([
    "",
    "report: what this design can show",
    "  - With the seed 7 alone, no spread of the sums at lr=1 can",
    "    be told: it takes two seeds or more.",
    "  - With the seed 7 alone, no spread of the sums at lr=2 can",
    "    be told: it takes two seeds or more.",
  ])
  expect((await linesOf(Number.POSITIVE_INFINITY, "seeds=7")).slice(-2)).toEqual([
    "  - With the seed 7 alone, no spread of the sums at lr=1 can be told: it takes two seeds or more.",
    "  - With the seed 7 alone, no spread of the sums at lr=2 can be told: it takes two seeds or more.",
  ])
})

test("a plan whose design says nothing ends with its costs", async () => {
  expect((await linesOf(80, "lr=1")).at(-1)).toMatch(/^disk /)
})
