import { expect, test } from "bun:test"
import type { Run } from "../../../../../core/artifacts/run.ts"
import { designOf, evidenceOf, matches } from "../../../../../plugins/report/shared/claims/evidence.ts"

const run: Run = {
  seed: 1,
  steps: 3,
  warmupSteps: 1,
  loss: new Float64Array(3),
  learningRate: new Float64Array(3),
  gradientNorm: new Float64Array(3),
  predictions: Float64Array.of(0, 1, 0, 0),
  labels: Float64Array.of(0, 1, 1, 0),
  metrics: ["accuracy"],
  baseline: 0,
}
const labels = { arm: "vanilla", lr: 1e-5 }

test("runs count as done, diverged or failed; only rows of finished probes count", () => {
  const { runs, observations } = evidenceOf(
    [
      {
        labels,
        members: [
          { seed: 1, outcome: { status: "done", value: run } },
          { seed: 2, outcome: { status: "diverged", reason: "the loss is NaN", step: 2 } },
          { seed: 3, outcome: { status: "failed", reason: "killed" } },
        ],
      },
    ],
    [
      {
        labels,
        members: [
          { seed: 1, outcome: { status: "done", value: [{ step: 0 }, { step: 3 }] } },
          { seed: 2, outcome: { status: "diverged", reason: "the loss is NaN" } },
        ],
      },
    ],
  )
  const none = { labels, value: null, baseline: null, steps: null, warmupSteps: null }
  expect(runs).toEqual([
    { labels, seed: 1, status: "done", value: 75, baseline: 50, failed: false, steps: 3, warmupSteps: 1 },
    { ...none, seed: 2, status: "diverged", failed: true },
    { ...none, seed: 3, status: "failed", failed: null },
  ])
  expect(observations.map(({ seed, row }) => [seed, row])).toEqual([
    [1, { step: 0 }],
    [1, { step: 3 }],
  ])
})

test("a design has the labels, seeds and columns of what is to be made", () => {
  const design = designOf(
    [],
    [
      {
        labels,
        members: [1, 2].map((seed) => ({ seed, estimate: { rows: 4, columns: ["step", "erank"] } })),
      },
    ],
  )
  expect(design).toEqual({
    runs: [],
    observations: [{ labels, seeds: [1, 2], columns: ["step", "erank"] }],
  })
})

test("labels come before cells of the same name", () => {
  expect(matches({ lr: 1e-5, step: 0 }, labels, { step: 0, lr: 5 })).toBe(true)
  expect(matches({ step: 1 }, labels, { step: 0 })).toBe(false)
  expect(matches({ layer: null }, labels, { layer: null })).toBe(true)
})
