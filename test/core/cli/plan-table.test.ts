import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { planLines } from "../../../core/cli/plan-table.ts"
import { inStore, planSample } from "../sample/study.ts"

let out: string
beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), "kasosei-plan-"))
})
afterAll(() => rmSync(out, { recursive: true, force: true }))

/** The table of a plan: the header and its rows. */
const tableOf = async (width: number) => {
  const lines = planLines("sample", await inStore(out, planSample("lr=1")), width)
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
  for (const width of [78, 72, 64]) {
    const table = await tableOf(width)
    expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(width)
    expect(table[1]).toMatch(/^data {6}sam.*….*alse {2}1 {2}to do {16}never made$/)
    const ends = (lines: readonly string[]) =>
      lines.map((line) => /(state|\d {2}(\d |to do)).*$/.exec(line)![0])
    expect(ends(table)).toEqual(ends(whole))
  }
})
