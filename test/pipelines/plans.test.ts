/** The plans of the pipelines here: their graphs are sound, and so are their claims. */
import { expect, setDefaultTimeout, test } from "bun:test"
import { join } from "node:path"
import { command } from "../core/cli/command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const fixtures = join(import.meta.dir, "..", "fixtures")
const real = [
  `glue=${join(fixtures, "glue")}`,
  `corpus=${join(fixtures, "vocab.txt")}`,
  `vocabulary=${join(fixtures, "vocab.txt")}`,
  ...["batch=1", "epochs=20"],
]
const everyControl = "controls=mlm,no-dropout,fresh-pooler"

test.each([
  ["quickstart.ts", []],
  ["quickstart.ts", [everyControl, "simcseSeeds=1", "dropout=0.1,0.5"]],
  ["mini.ts", [...real, "task=sst2", "trainExamples=3", "size=mini"]],
  ["mini.ts", [...real, everyControl, "task=stsb"]],
  ["paper.ts", []],
  ["paper.ts", [everyControl, "simcseSeeds=1,2"]],
] as const)("%s with %p", async (file, settings) => {
  const set = settings.flatMap((setting) => ["--set", setting])
  const { code, stdout, stderr } = await command(["pipeline", file, "--plan", "--backend", "wasm", ...set])
  expect([code, stderr]).toEqual([0, ""])
  expect(stdout).toContain("study-page")
})
