/** A small `mini.ts` on text files written here: the whole study, from files to the report page. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command, type Ended } from "../core/cli/command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const fixtures = join(import.meta.dir, "..", "fixtures")
let folder: string
let first: Ended

const run = (...more: readonly string[]) =>
  command([
    ...["pipeline", "mini.ts", "--out", join(folder, "out"), "--backend", "wasm", "--jobs", "1"],
    ...[
      ...[`glue=${join(fixtures, "rte-sample")}`, `corpus=${join(folder, "corpus.txt")}`],
      ...[`vocabulary=${join(folder, "vocab.txt")}`, "maxLength=48", "mlmSteps=2", "mlmBatch=8"],
      ...["simcseSteps=1", "simcseBatch=16", "controls=", "lr=1e-4", "seeds=1,2"],
      // Ten updates.
      ...["batch=4", "epochs=2.5", "samples=4"],
    ].flatMap((setting) => ["--set", setting]),
    ...more,
  ])

beforeAll(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "kasosei-mini-"))
  const rows = (await fs.readFile(join(fixtures, "rte-sample", "train.tsv"), "utf8"))
    .trim()
    .split("\n")
    .slice(1)
  const sentences = rows.flatMap((row) => row.split("\t").slice(1, 3))
  const pairs = sentences.flatMap((a, i) => [
    `${a}`,
    `${a} ${sentences[(i + 5) % sentences.length]}`,
    `${a} Again.`,
  ])
  const corpus = `${pairs.join("\n")}\n`
  await fs.writeFile(join(folder, "corpus.txt"), corpus)
  // Of BERT's vocabulary what these sentences need: the other 30,000 tokens would take most of the time.
  const words = new Set(corpus.toLowerCase().match(/\w+|[^\w\s]/g))
  const vocabulary = (await fs.readFile(join(fixtures, "vocab.txt"), "utf8")).split("\n")
  const kept = vocabulary.filter(
    (token) => words.has(token) || /^(\[(PAD|UNK|CLS|SEP|MASK)\]|(##)?[a-z0-9])$/.test(token),
  )
  await fs.writeFile(join(folder, "vocab.txt"), `${kept.join("\n")}\n`)
  first = await run()
})
afterAll(() => fs.rm(folder, { recursive: true, force: true }))

test("runs to the end and leaves no state to resume from", async () => {
  expect(first.stderr).toContain("22 units made, 0 reused, 0 failed")
  expect(first.code).toBe(0)
  expect(await fs.readdir(join(folder, "out", "scratch"))).toEqual([])
})

test("the report has every figure and table, and the runs of the grid", async () => {
  const report = join(folder, "out", "mini", "latest", "report")
  const files = await fs.readdir(report)
  for (const name of ["index.html", "summary.md", "table-1.csv", "table-2.csv"]) expect(files).toContain(name)
  for (const figure of [1, 2, 3, 4]) expect(files).toContain(`figure-${figure}.svg`)
  const runs = (await fs.readFile(join(report, "runs.csv"), "utf8")).trim().split(/\r?\n/)
  expect(runs.slice(1).map((row) => row.split(",").slice(0, 4))).toEqual([
    ["vanilla", "", "0.0001", "1"],
    ["vanilla", "", "0.0001", "2"],
    ["SimCSE(0.1)", "42", "0.0001", "1"],
    ["SimCSE(0.1)", "42", "0.0001", "2"],
  ])
  const page = await fs.readFile(join(report, "index.html"), "utf8")
  expect(page).not.toMatch(/<script|src="http|href="http/)
})

test("a second start reuses everything", async () => {
  const second = await run()
  expect(second.stderr).toContain("0 units made, 22 reused, 0 failed")
  expect(second.code).toBe(0)
})

test("a changed file invalidates what is made from it", async () => {
  await fs.appendFile(join(folder, "corpus.txt"), "One sentence more.\n")
  const plan = await run("--plan", "--json")
  const states: { plugin: string; state: string }[] = JSON.parse(plan.stdout).units
  const state = (plugin: string) => [
    ...new Set(states.filter((unit) => unit.plugin === plugin).map((unit) => unit.state)),
  ]
  expect(state("vocabulary")).toEqual(["done"])
  expect(state("rte")).toEqual(["done"])
  expect(state("sentences")).toEqual(["to do"])
  expect(state("classification")).toEqual(["to do"])
})
