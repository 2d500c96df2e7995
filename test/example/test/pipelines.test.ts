/** Every pipeline of this project runs to its charts, and the key of an arm sees its own components. */
import { afterAll, expect, test } from "bun:test"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { Node, Page, Targets } from "kasosei"
import { type } from "kasosei"
import { withArtifacts } from "kasosei/testing"
import contrastive from "../pipelines/contrastive.ts"
import l2SP from "../pipelines/l2-sp.ts"
import mixout from "../pipelines/mixout.ts"
import optimisers from "../pipelines/optimisers.ts"
import reinitialised from "../pipelines/reinitialised.ts"

const tiny = { mlmSteps: 2, train: 32, seeds: [1, 2] }

/** A pipeline of whatever parameters. */
interface AnyPipeline {
  readonly parameters: (given: unknown) => unknown
  readonly build: (parameters: never) => Targets
}

/** The arms in the data of a chart. */
const armsIn = (file: string) => {
  const [header, ...rows] = readFileSync(file, "utf8").trim().split("\r\n")
  const column = header!.split(",").indexOf("colour")
  return [...new Set(rows.map((row) => row.split(",")[column]!))].sort()
}

test.each<[string, AnyPipeline, object, readonly string[]]>([
  ["contrastive", contrastive, { steps: 1 }, ["vanilla", "simcse", "dcl", "barlow-twins", "vicreg"]],
  ["l2-sp", l2SP, {}, ["plain", "weak", "strong"]],
  ["mixout", mixout, {}, ["plain", "mixout-0.5", "mixout-0.9"]],
  ["optimisers", optimisers, {}, ["adamw", "adamw-uncorrected", "sgd", "lion", "adafactor", "sign-sgd"]],
  ["reinitialised", reinitialised, {}, ["pretrained", "new-pooler", "new-layer", "new-layers"]],
])(
  "%s compares all its arms",
  (_, pipeline, more, arms) =>
    withArtifacts(async (artifactOf) => {
      const parameters = pipeline.parameters({ ...tiny, ...more })
      if (parameters instanceof type.errors) throw new Error(parameters.summary)
      const { page, loss } = pipeline.build(parameters as never) as Record<string, Node<typeof Page>>
      const { folder } = await artifactOf(loss!)
      expect(armsIn(join(folder, "line-chart.csv"))).toEqual([...arms].sort())
      const table = readFileSync(join((await artifactOf(page!)).folder, "summary.md"), "utf8")
      for (const arm of arms) expect(table).toContain(`| ${arm} |`)
    }),
  60_000,
)

const copy = mkdtempSync(join(tmpdir(), "kasosei-example-"))
afterAll(() => rmSync(copy, { recursive: true, force: true }))

test("after an edit of an optimiser of this project, only its own arm is made again", () => {
  const example = join(import.meta.dir, "..")
  cpSync(example, copy, { recursive: true })
  const kasosei = dirname(createRequire(join(example, "package.json")).resolve("kasosei/package.json"))
  symlinkSync(join(kasosei, "node_modules"), join(copy, "node_modules"))
  const settings = ["mlmSteps=2", "train=32", "seeds=1,2"].flatMap((setting) => ["--set", setting])
  const pipeline = (...flags: readonly string[]) => {
    const main = join(kasosei, "core", "cli", "main.ts")
    const args = ["pipeline", "optimisers", "--backend", "wasm", ...settings, ...flags]
    const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, main, ...args], { cwd: copy })
    expect([exitCode, stderr.toString()]).toEqual([0, expect.any(String)])
    return stdout.toString()
  }
  /** What is to be made but for the reports, and why. */
  const toDo = () =>
    pipeline("--plan")
      .split("\n")
      .map((line) => line.split(/ {2,}/))
      .filter(([stage, , , state]) => stage !== "report" && /to do|replayed/.test(state ?? ""))
      .map(([, unit, , state]) => `${unit}: ${state}`)
  pipeline()
  expect(toDo()).toEqual([])

  const file = join(copy, "plugins", "optimisers", "sign-sgd.ts")
  const text = readFileSync(file, "utf8")
  writeFileSync(file, `// A comment does not count.\n${text}`)
  expect(toDo()).toEqual([])
  writeFileSync(file, text.replace("tf.sign(m)", "tf.sign(gradient)"))
  const units = ["classification", "trajectory"]
  expect(toDo()).toEqual(units.map((unit) => `${unit} arm=sign-sgd lr=7.5e-5: 2 to do`))
}, 120_000)
