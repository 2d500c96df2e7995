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
  root = mkdtempSync(join(tmpdir(), "kasosei-other-methods-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const run = (settings: object, ...flags: readonly string[]) =>
  command([
    "pipeline",
    "other-methods.ts",
    ...["--out", join(root, "out"), "--backend", "wasm"],
    ...Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]),
    ...flags,
  ])
const toy = { layers: 1, hidden: 8, sentences: 200, mlmSteps: 4, simcseSteps: 2, train: 64, dev: 16 }
const methods = ["MLM", "SimCSE", "DCL", "ConSERT", "alignment and uniformity", "supervised SimCSE"]

test("on the toy language, every method and whitening get verdicts", async () => {
  const settings = { ...toy, simcseSeeds: "42", seeds: "1,2", epochs: 1, samples: 4, lr: 1e-3 }
  const { code, stderr } = await run(settings)
  expect([code, stderr]).toEqual([0, expect.stringContaining(" 0 failed")])
  const claims = JSON.parse(
    readFileSync(join(root, "out", "other-methods", "latest", "report", "claims.json"), "utf8"),
  )
  const found = claims.claims as readonly { statement: string; verdict: string; seeds: number }[]
  const statements = found.map(({ statement }) => statement)
  expect(statements).toEqual([
    ...methods.map((arm) => `${arm} fails in fewer runs than vanilla.`),
    ...methods.map((arm) => `${arm} has a higher mean than vanilla.`),
    ...methods.map((arm) => `${arm} has a higher normalised effective rank before fine-tuning than vanilla.`),
    ...[...methods, "whitening"].map(
      (arm) => `${arm} has a higher Spearman correlation on sentence similarity than vanilla.`,
    ),
  ])
  // Of ten folds of the pairs.
  expect(found.slice(-7).map(({ seeds }) => seeds)).toEqual(new Array(7).fill(10))
})

test("on real text it is planned with MNLI for supervised SimCSE, and without it there is no such arm", async () => {
  const corpus = join(root, "corpus.txt")
  writeFileSync(corpus, "A cat sat on the mat.\nTwo dogs ran away.\n".repeat(50))
  const given = {
    glue: join(fixtures, "glue"),
    corpus,
    vocabulary: join(fixtures, "vocab.txt"),
    task: "cola",
  }
  const plannedFor = async (settings: object) => {
    const { stdout, stderr } = await run({ ...given, ...settings }, "--plan", "--json")
    expect(stderr).toBe("")
    return (JSON.parse(stdout).units as readonly { plugin: string }[]).map(({ plugin }) => plugin)
  }
  const counts = (plugins: readonly string[], name: string) =>
    plugins.filter((plugin) => plugin === name).length
  const without = await plannedFor({})
  expect(["supervised-simcse", "sts-score", "consert"].map((name) => counts(without, name))).toEqual([
    0, 0, 3,
  ])
  const withNli = await plannedFor({ nli: join(fixtures, "glue") })
  expect(counts(withNli, "supervised-simcse")).toBe(3)
})
