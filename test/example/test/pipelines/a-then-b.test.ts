import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command, type Ended } from "../../../core/cli/command-line.ts"

const steps = [0, 20, 40, 54]
const pipeline = join(import.meta.dir, "..", "..", "pipelines", "a-then-b.ts")
let out: string
let ended: Ended
beforeAll(async () => {
  out = mkdtempSync(join(tmpdir(), "a-then-b-"))
  const settings = ["hidden=16", "mlmSteps=20", "train=288", "lr=0.003", "seeds=1,2", "every=20"]
  const set = settings.flatMap((setting) => ["--set", setting])
  ended = await command(["pipeline", pipeline, "--backend", "wasm", "--out", out, ...set])
}, 120_000)
afterAll(() => rmSync(out, { recursive: true, force: true }))

/** The artifacts of a plugin, each with its manifest and its folder. */
const artifacts = (plugin: string) =>
  readdirSync(join(out, "artifacts"))
    .filter((name) => name.startsWith(`${plugin}-`))
    .map((name) => {
      const folder = join(out, "artifacts", name)
      const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"))
      return { manifest, folder: join(folder, "data") }
    })

const float64 = (path: string) => new Float64Array(new Uint8Array(readFileSync(path)).buffer)
const rowsOf = (folder: string): readonly Record<string, number>[] =>
  readFileSync(join(folder, "rows.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))

/** The accuracy of a run on its own dev split, from its predictions. */
const accuracyOf = (folder: string): number => {
  const [predictions, labels] = ["predictions", "labels"].map((name) => float64(join(folder, `${name}.f64`)))
  return predictions!.filter((prediction, n) => prediction === labels![n]).length / labels!.length
}

test("runs to the end; every run on B begins at the accuracy with which A's run of its seed ended", () => {
  expect([ended.code, ended.stderr]).toEqual([0, expect.stringContaining(" 0 failed")])
  // The runs on B are only watched, so no artifact of theirs is kept.
  const first = artifacts("classification")
  const ofA = new Map(first.map(({ manifest, folder }) => [manifest.options.seed, accuracyOf(folder)]))
  expect([...ofA.keys()].sort()).toEqual([1, 2])
  expect(new Set(ofA.values()).size).toBe(2)
  const asked = artifacts("evaluate")
  expect(asked).toHaveLength(8)
  for (const { manifest, folder } of asked) {
    const { label } = manifest
    const rows = rowsOf(folder)
    expect(rows.map(({ step }) => step!)).toEqual(steps)
    const seed = Number(/ seed=(\d+)$/.exec(label)![1])
    expect([label, rows[0]!["value"]]).toEqual([label, ofA.get(seed)!])
  }
})

test("the chart has a panel for each classifier and the seeds' band around each task's mean", () => {
  const csv = readFileSync(join(out, "a-then-b", "latest", "chart", "line-chart.csv"), "utf8")
  const lines = csv.trim().split("\r\n")
  expect(lines[0]).toBe("facet,colour,x,y,lower,upper,n")
  const values = artifacts("evaluate")
    .filter(({ manifest }) => manifest.label.includes("task=other pairs classifier=new"))
    .map(({ folder }) => rowsOf(folder)[3]!["value"]!)
  const [facet, colour, x, y, , , n] = lines
    .find((line) => line.startsWith("new,other pairs,54,"))!
    .split(",")
  expect([facet, colour, x, n]).toEqual(["new", "other pairs", "54", "2"])
  expect(Number(y)).toBeCloseTo((values[0]! + values[1]!) / 2, 9)
  expect(lines).toHaveLength(1 + 4 * steps.length)
})
