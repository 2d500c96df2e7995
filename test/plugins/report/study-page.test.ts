import { expect, test } from "bun:test"
import { Effect } from "effect"
import type { PluginError } from "../../../core/api/plugin.ts"
import type { MetricName } from "../../../core/artifacts/metrics.ts"
import type { PageGiven } from "../../../core/artifacts/page.ts"
import type { RunTaken } from "../../../core/artifacts/run.ts"
import { studyPage } from "../../../plugins/report/study-page.ts"
import { completed } from "../finetune/running.ts"

type Start = (context: object) => Effect.Effect<PageGiven, PluginError>
const start = studyPage.run as unknown as Start

const runOf = (metrics: readonly MetricName[], predictions: readonly number[]): RunTaken => ({
  seed: 1,
  steps: 0,
  warmupSteps: 0,
  loss: new Float64Array(),
  learningRate: new Float64Array(),
  gradientNorm: new Float64Array(),
  predictions: Float64Array.from(predictions),
  labels: Float64Array.of(1, 2, 3),
  metrics,
  baseline: 2,
  modelFolder: null,
})

const page = (...runs: readonly RunTaken[]) => {
  const cohorts = runs.map((value, i) => ({
    labels: { arm: `arm ${i}`, lr: 1e-5 },
    members: [{ seed: 1, outcome: { status: "done", value } }],
  }))
  const options = completed(studyPage, { title: "A study", arms: ["arm 0", "arm 1"] })
  return start({ options, backend: "cpu", inputs: { runs: cohorts, ranks: [], trajectories: [] } })
}

test("a run is judged by its task's first metric", async () => {
  const files = await Effect.runPromise(
    page(runOf(["pearson", "spearman"], [1, 2, 4]), runOf(["pearson", "spearman"], [2, 2, 2])),
  )
  const summary = String(files.get("summary.md"))
  expect(summary).toContain("arm 0: 0 of 1 run failed; highest mean Pearson correlation 98.2 ×100")
  expect(summary).toContain("arm 1: 1 of 1 run failed; highest mean Pearson correlation 0.0 ×100")
})

test("runs of tasks with other metrics are refused", async () => {
  const error = await Effect.runPromise(
    Effect.flip(page(runOf(["pearson"], [1, 2, 4]), runOf(["accuracy"], [1, 2, 3]))),
  )
  expect(error.message).toBe(
    "study-page: runs: expected runs of one task, found runs scored by pearson and accuracy",
  )
})
