import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command } from "../core/cli/command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(240_000)

const size = { layers: 1, hidden: 8, sentences: 200, mlmSteps: 2, simcseSteps: 2, train: 150, dev: 16 }
const settings = { ...size, simcseBatch: 16, simcseSeeds: "1,2", seeds: "1,2", samples: 4 }
const set = Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`])

let out: string
beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), "kasosei-mechanism-"))
})
afterAll(() => rmSync(out, { recursive: true, force: true }))
const run = (...more: readonly string[]) =>
  command(["pipeline", "mechanism.ts", "--out", out, "--backend", "wasm", ...set, ...more])

test("the plan says what the design can show of every claim, trains each arm once, and fine-tunes nothing", async () => {
  const { code, stdout, stderr } = await run("--plan")
  expect([code, stderr]).toEqual([0, ""])
  expect(stdout.match(/ has a higher normalised effective rank before fine-tuning than /g)).toHaveLength(14)
  expect(stdout.match(/"Over cohorts, /g)).toHaveLength(4)
  expect(stdout.match(/^ {2}- Confounders: /gm)).toHaveLength(2)
  // Vanilla, and two checkpoints of seven arms, three of which and vanilla are fine-tuned with a fresh pooler as well.
  expect(stdout.match(/^pretrain /gm)).toHaveLength(15)
  expect(stdout.match(/^finetune .* only probes need it$/gm)).toHaveLength(22)
})

test("at the smallest size it ends in verdicts and charts", async () => {
  const { code, stderr } = await run()
  expect(stderr).toContain("warning: Confounders: besides further training, SimCSE(0.1), ")
  expect(stderr).toContain("0 failed")
  expect(code).toBe(0)
  const report = join(out, "mechanism", "latest", "report")
  const page = readFileSync(join(report, "index.html"), "utf8")
  for (const title of ["normalised", "anisotropy", "uniformity", "alignment", "centredRank", "cka"]) {
    expect(page).toContain(`${title} by arm`)
  }
  const claims = JSON.parse(readFileSync(join(report, "claims.json"), "utf8"))
  expect(JSON.stringify(claims).match(/"verdict"/g)!.length).toBeGreaterThanOrEqual(18)
  const confounded = claims.confounded.filter(({ than }: { than: string }) => than === "vanilla")
  expect(confounded).toHaveLength(5)
  expect(page).toContain("differs from vanilla in pooler (drawn anew, trained by a contrastive loss against")
})
