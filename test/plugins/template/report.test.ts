import { expect, test } from "bun:test"
import { Effect } from "effect"
import type { CohortTaken, PluginError } from "../../../core/api/plugin.ts"
import type { PageGiven } from "../../../core/artifacts/page.ts"
import type { RunTaken } from "../../../core/artifacts/run.ts"
import { templateReport } from "../../../plugins/template/report.ts"
import { completed } from "../finetune/running.ts"

type Start = (context: object) => Effect.Effect<PageGiven, PluginError>
const start = templateReport.run as unknown as Start

const runOf = (predictions: readonly number[]): RunTaken => ({
  seed: 1,
  steps: 0,
  warmupSteps: 0,
  loss: new Float64Array(),
  learningRate: new Float64Array(),
  gradientNorm: new Float64Array(),
  predictions: Float64Array.from(predictions),
  labels: Float64Array.of(0, 1, 1, 0),
  metrics: ["accuracy", "f1"],
  baseline: 1,
  modelFolder: null,
})

const cohorts: readonly CohortTaken<RunTaken>[] = [
  {
    labels: { arm: "vanilla", lr: 1e-5 },
    members: [
      { seed: 1, outcome: { status: "done", value: runOf([0, 1, 1, 1]) } },
      { seed: 2, outcome: { status: "diverged", reason: "the loss is NaN", step: 3 } },
    ],
  },
  {
    labels: { arm: 'a "b", <c>' },
    members: [{ seed: 1, outcome: { status: "done", value: runOf([0, 0, 0, 0]) } }],
  },
]

test("lists every run once, including failed ones, and escapes special characters in CSV and HTML", async () => {
  const options = completed(templateReport, { title: "Runs & seeds" })
  const files = await Effect.runPromise(start({ options, inputs: { runs: cohorts } }))
  expect(files.get("metrics.csv")).toBe(
    [
      "arm,lr,seed,status,metric,value,baseline",
      "vanilla,0.00001,1,done,accuracy,0.75,0.5",
      "vanilla,0.00001,1,done,f1,0.8,0.6666666666666666",
      "vanilla,0.00001,2,diverged,,,",
      '"a ""b"", <c>",,1,done,accuracy,0.5,0.5',
      '"a ""b"", <c>",,1,done,f1,0,0.6666666666666666',
      "",
    ].join("\r\n"),
  )
  const page = String(files.get("index.html"))
  expect(page).toContain("<h1>Runs &#38; seeds</h1>")
  expect(page).not.toContain("<c>")
})
