/** The plans of the pipelines here: their graphs are sound, and so are their claims. */
import { expect, setDefaultTimeout, spyOn, test } from "bun:test"
import { join } from "node:path"
import { answer } from "../core/cli/answer.ts"

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

/** What a command line prints that is run in this process. */
const printed = async (args: readonly string[]) => {
  let stdout = ""
  const write = spyOn(process.stdout, "write").mockImplementation((text) => {
    stdout += text
    return true
  })
  const { stderr, failure } = await answer(args).finally(() => write.mockRestore())
  return { stdout, stderr, failure }
}

test.each([
  ["quickstart.ts", []],
  ["quickstart.ts", [everyControl, "simcseSeeds=1", "dropout=0.1,0.5"]],
  ["mini.ts", [...real, "task=sst2", "trainExamples=2", "size=mini"]],
  ["mini.ts", [...real, everyControl, "task=stsb"]],
  ["paper.ts", []],
  ["paper.ts", [everyControl, "simcseSeeds=1,2"]],
] as const)("%s with %p", async (file, settings) => {
  const set = settings.flatMap((setting) => ["--set", setting])
  const { stdout, stderr, failure } = await printed([
    ...["pipeline", file, "--plan", "--backend", "wasm"],
    ...set,
  ])
  expect([stderr, failure]).toEqual(["", undefined])
  expect(stdout).toContain("study-page")
})
