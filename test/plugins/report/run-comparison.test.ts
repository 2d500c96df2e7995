import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import type { CohortTaken, Labels, Outcome, PluginError } from "../../../core/api/plugin.ts"
import type { PageGiven } from "../../../core/artifacts/page.ts"
import type { Run } from "../../../core/artifacts/run.ts"
import { sharedUpdates } from "../../../plugins/report/run-comparison/results.ts"
import { runComparison } from "../../../plugins/report/run-comparison.ts"
import { completed } from "../finetune/running.ts"
import { axisScale, marks } from "./shared/drawing.ts"
import { provenanceOf } from "./shared/provenance.ts"

const start = runComparison.run as unknown as (context: object) => Effect.Effect<PageGiven, PluginError>
const pageOf = async (runs: readonly CohortTaken<Run>[], options: object = {}) => {
  const given = {
    options: completed(runComparison, { title: "A & B", ...options }),
    inputs: { runs },
    backend: "wasm",
    provenance: Effect.succeed(provenanceOf()),
  }
  const files = await Effect.runPromise(start(given))
  const file = (name: string) => String(files.get(name))
  const page = file("index.html")
  const lines = [...page.matchAll(/<li>(.*?)<\/li>/g)].map(([, line]) => line!.replaceAll("&#39;", "'"))
  return { files, file, page, lines }
}

/** A run on ten dev examples, of which it gets some right; the baseline gets five. */
const runOf = (loss: readonly number[], right: number, more: Partial<Run> = {}): Outcome<Run> => ({
  status: "done",
  value: {
    seed: 1,
    steps: loss.length,
    warmupSteps: 1,
    loss: Float64Array.from(loss),
    learningRate: Float64Array.from(loss, (_, update) => 1e-3 * update),
    gradientNorm: Float64Array.from(loss, (value) => 10 * value),
    predictions: Float64Array.from({ length: 10 }, (_, n) => (n < right ? n % 2 : 1 - (n % 2))),
    labels: Float64Array.from({ length: 10 }, (_, n) => n % 2),
    metrics: ["accuracy"],
    baseline: 0,
    ...more,
  },
})
const cohort = (labels: Labels, ...outcomes: readonly Outcome<Run>[]): CohortTaken<Run> => ({
  labels,
  members: outcomes.map((outcome, i) => ({ seed: i + 1, outcome })),
})
const at = { arm: "vanilla", lr: 1e-3 }
const original = cohort(at, runOf([0.7, 0.6, 0.5, 0.8], 5))
const branch = cohort({ ...at, branch: "lr=5e-4@2" }, runOf([0.7, 0.6, 0.4, 0.3], 9))

/** What a page has whatever is drawn. */
const always = [
  "index.html",
  "provenance.html",
  "provenance.json",
  "results.csv",
  "summary.md",
  "updates.csv",
]

describe("a run and its branch", () => {
  test("are named by what differs, with results and how far they are the same", async () => {
    const { lines, file } = await pageOf([original, branch])
    expect(lines).toEqual([
      "original: accuracy 50.0 after 4 updates, no better than the baseline's 50.0.",
      "branch=lr=5e-4@2: accuracy 90.0 after 4 updates, better than the baseline's 50.0.",
      "The first 2 updates of all runs are the same to the bit: losses, gradient norms and learning rates.",
    ])
    expect(file("results.csv").split("\r\n")).toEqual([
      "run,seed,outcome,updates,accuracy,baseline,last_loss,largest_gradient_norm",
      "original,1,failed,4,0.5,0.5,0.8,8",
      "branch=lr=5e-4@2,1,learned,4,0.9,0.5,0.3,7",
      "",
    ])
    const updates = file("updates.csv").split("\r\n")
    expect(updates.slice(0, 2)).toEqual([
      "run,seed,update,loss,gradient_norm,learning_rate",
      "original,1,0,0.7,7,0",
    ])
    expect(updates).toHaveLength(1 + 8 + 1)
  })

  test("have a line each in three figures, and the step is marked", async () => {
    const { files, file, page } = await pageOf([original, branch], { at: 2 })
    const figures = ["gradient-norm", "learning-rate", "loss"]
    const drawn = figures.flatMap((name) => [".csv", ".svg", ".vl.json"].map((ending) => `${name}${ending}`))
    expect([...files.keys()].filter((name) => !always.includes(name)).sort()).toEqual(drawn)
    expect(always.filter((name) => !files.has(name))).toEqual([])
    for (const name of ["loss", "gradient-norm", "learning-rate"]) {
      const svg = file(`${name}.svg`)
      expect(marks(svg, "runs_marks").flat()).toHaveLength(2)
      const [mark] = marks(svg, "step_marks").flat()
      expect(mark!.x).toBeCloseTo(axisScale(svg, 0)(2), 0)
      expect(page).toContain(`<figure id="${name}">`)
    }
    expect(page).toContain("Dashed: step 2.")
    expect(page).toContain("<h1>A &#38; B</h1>")
    expect(JSON.parse(file("loss.vl.json")).layer.at(-1).data.values[7]).toEqual({
      run: "branch=lr=5e-4@2",
      update: 3,
      value: 0.3,
    })
  })

  test("of which one diverged show the other, and say where and why", async () => {
    const diverged = cohort(at, { status: "diverged", reason: "the loss is NaN", step: 3 })
    const { lines, file, page } = await pageOf([diverged, branch], { at: 2 })
    expect(lines).toEqual([
      "original: diverged at step 3 (the loss is NaN).",
      "branch=lr=5e-4@2: accuracy 90.0 after 4 updates, better than the baseline's 50.0.",
    ])
    expect(file("results.csv")).toContain("original,1,diverged,3,,,,\r\n")
    expect(marks(file("loss.svg"), "runs_marks").flat()).toHaveLength(1)
    expect(page).toContain("every update of 1 run,")
  })

  test("of which neither ended have no figure", async () => {
    const { files, page, lines } = await pageOf([cohort(at, { status: "failed", reason: "it was killed" })])
    expect(lines).toEqual(["original: failed (it was killed)."])
    expect([...files.keys()].filter((name) => /svg|vl\.json/.test(name))).toEqual([])
    expect(page).toContain("No run has ended, so there is nothing to draw.")
  })
})

describe("several runs", () => {
  test("are named by their labels and seeds, and compared by seed", async () => {
    const rest = [0.3, 0.2]
    const one = cohort({ arm: "a" }, runOf([0.7, ...rest], 9), runOf([0.9, ...rest], 8))
    const two = cohort({ arm: "b" }, runOf([0.7, ...rest], 7), runOf([0.9, 0.8, 0.1], 6))
    const { lines } = await pageOf([one, two])
    expect(lines.map((line) => line.split(":")[0])).toEqual([
      ...["arm=a seed=1", "arm=a seed=2", "arm=b seed=1", "arm=b seed=2"],
      "The first update of runs with the same seed is the same to the bit",
    ])
  })

  test("that differ from the start say so", async () => {
    const { lines } = await pageOf([original, cohort({ arm: "b" }, runOf([0.1, 0.6], 9))])
    expect(lines.at(-1)).toBe("The runs differ from the first update on.")
  })
})

test("updates are shared only if losses, gradient norms and learning rates all are", () => {
  const run = (loss: readonly number[], more: Partial<Run> = {}): Run => {
    const outcome = runOf(loss, 5, more)
    if (outcome.status !== "done") throw new Error("not done")
    return outcome.value
  }
  const base = run([1, 2, 3])
  expect(sharedUpdates([base, run([1, 2, 3])])).toBe(3)
  expect(sharedUpdates([base, run([1, 2, 3, 4])])).toBe(3)
  expect(sharedUpdates([base, run([1, 2, 3 + 1e-15])])).toBe(2)
  expect(sharedUpdates([base, run([1, 2, 3], { learningRate: Float64Array.of(0, 2e-3, 2e-3) })])).toBe(1)
  expect(sharedUpdates([base, run([1, 2, 3], { gradientNorm: Float64Array.of(9, 20, 30) })])).toBe(0)
})
