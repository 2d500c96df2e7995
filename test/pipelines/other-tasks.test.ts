import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command } from "../core/cli/command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(240_000)

const fixtures = join(import.meta.dir, "..", "fixtures")
let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-other-tasks-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const run = (settings: object, ...flags: readonly string[]) =>
  command([
    "pipeline",
    "other-tasks.ts",
    ...["--out", join(root, "out"), "--backend", "wasm"],
    ...Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]),
    ...flags,
  ])
const toy = { models: "1x8,2x8", sentences: 200, mlmSteps: 4, simcseSteps: 2, train: 64, dev: 16 }

test("on the toy language, every task and model gets verdicts, and whether the signs agree", async () => {
  const settings = { ...toy, simcseSeeds: "42", seeds: "1,2", epochs: 1, samples: 4, lr: 1e-3 }
  const { code, stderr } = await run(settings)
  expect([code, stderr]).toEqual([0, expect.stringContaining(" 0 failed")])
  const claims = JSON.parse(
    readFileSync(join(root, "out", "other-tasks", "latest", "report", "claims.json"), "utf8"),
  )
  const found = claims.claims as readonly { kind: string; groups: readonly { name: string }[] }[]
  const kinds = new Map(["same-sign", "observed", "higher-mean", "fewer-failures"].map((kind) => [kind, 0]))
  for (const { kind } of found) kinds.set(kind, kinds.get(kind)! + 1)
  expect([...kinds]).toEqual([
    ["same-sign", 2],
    ["observed", 6],
    ["higher-mean", 6],
    ["fewer-failures", 6],
  ])
  expect(found.slice(0, 2).map(({ groups }) => groups.map(({ name }) => name))).toEqual([
    ["task=acceptability", "task=entailment", "task=similarity"],
    ["model=1x8", "model=2x8"],
  ])
})

test("on real text, tasks of classes and of scores are planned, and a task of the other input is refused", async () => {
  const corpus = join(root, "corpus.txt")
  writeFileSync(corpus, "A cat sat on the mat.\nTwo dogs ran away.\n".repeat(50))
  const given = { glue: join(fixtures, "glue"), corpus, vocabulary: join(fixtures, "vocab.txt") }
  const { stdout, stderr } = await run({ ...given, tasks: "cola,stsb", models: "tiny" }, "--plan", "--json")
  expect(stderr).toBe("")
  const units = JSON.parse(stdout).units as readonly { plugin: string }[]
  const counts = ["classification", "regression", "mlm", "simcse"].map(
    (name) => units.filter(({ plugin }) => plugin === name).length,
  )
  expect(counts).toEqual([32, 32, 1, 3])
  const wrong = await run({ tasks: "cola" }, "--plan")
  expect([wrong.code, wrong.stderr]).toEqual([
    2,
    expect.stringContaining('tasks: each must be "acceptability", "entailment" or "similarity" (was "cola")'),
  ])
  const size = await run({ models: "tiny" }, "--plan")
  expect([size.code, size.stderr]).toEqual([2, expect.stringContaining("layers x hidden size, such as 2x64")])
})
