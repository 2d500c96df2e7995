import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command } from "../core/cli/command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(240_000)

const size = { layers: 1, hidden: 8, sentences: 200, mlmSteps: 2, simcseSteps: 2, train: 64, dev: 16 }
const settings = {
  ...size,
  simcseBatch: 16,
  simcseSeeds: 1,
  seeds: "1,2",
  hessianSeeds: "1,2",
  samples: 4,
  iterations: 2,
}
const set = Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`])

let out: string
beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), "kasosei-block-diagonal-"))
})
afterAll(() => rmSync(out, { recursive: true, force: true }))
const run = (...more: readonly string[]) =>
  command(["pipeline", "block-diagonal.ts", "--out", out, "--backend", "wasm", ...set, ...more])

test("the plan trains each arm once, and takes ranks from stored Gram matrices", async () => {
  const { code, stdout, stderr } = await run("--plan")
  expect([code, stderr]).toEqual([0, ""])
  expect(stdout.match(/^pretrain /gm)).toHaveLength(3)
  expect(stdout.match(/^finetune /gm)).toHaveLength(3)
  // Three sources of labels; of two seeds, and for the empirical one three curves beside its own ranks.
  expect(stdout.match(/^probe +fisher /gm)).toHaveLength(9)
  expect(stdout.match(/^probe +fisher-ranks /gm)).toHaveLength(36)
  expect(stdout.match(/^probe +hessian /gm)).toHaveLength(3)
})

test("at the smallest size it ends in verdicts and charts", async () => {
  const { code, stderr } = await run()
  expect([code, stderr]).toEqual([0, expect.stringContaining(" 0 failed")])
  const report = join(out, "block-diagonal", "latest", "report")
  const { claims } = JSON.parse(readFileSync(join(report, "claims.json"), "utf8")) as {
    readonly claims: readonly {
      readonly kind: string
      readonly seeds: number
      readonly missing: string | null
    }[]
  }
  expect(claims).toHaveLength(32)
  // Every claim found its numbers, the Hessian's too; so small a model's ranks need not vary.
  const without = claims.filter(
    ({ seeds, missing }) => seeds !== 2 && missing !== "One of the two does not vary.",
  )
  expect(without.map(({ kind, missing }) => [kind, missing])).toEqual([])
  const page = readFileSync(join(report, "index.html"), "utf8")
  for (const title of ["Block against full", "Threshold", "Number of examples", "Tensors"]) {
    expect(page).toContain(title)
  }
})
