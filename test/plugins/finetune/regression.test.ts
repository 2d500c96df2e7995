import { expect, test } from "bun:test"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import type { Examples, Split } from "../../../core/artifacts/examples.ts"
import type { Row } from "../../../core/artifacts/observations.ts"
import { isFailure, Run, scoreOf } from "../../../core/artifacts/run.ts"
import { permutation, stream } from "../../../core/tensor/stream.ts"
import { classification } from "../../../plugins/finetune/classification.ts"
import { regression } from "../../../plugins/finetune/regression.ts"
import { loadModel } from "../../../plugins/model/hugging-face.ts"
import { examplesOf, fineTuning, observer, type Setting, withCheckpoint } from "./running.ts"

const { root, checkpoint, freshScratch } = await withCheckpoint("regression")

const classes = examplesOf(32, 16)
/** Scores of 0.5 and 2 in place of the two classes. */
const scored = ({ sequences, labels }: Split): Split => ({
  sequences,
  labels: labels.map((label) => 0.5 + 1.5 * label),
})
const data: Examples = {
  ...classes,
  labelNames: null,
  metrics: ["pearson", "spearman"],
  train: scored(classes.train),
  dev: scored(classes.dev),
}

const effect = (setting: Partial<Setting>) =>
  fineTuning({ plugin: regression, data, checkpoint, scratch: freshScratch(), ...setting })

test("the loss is the mean squared error of the model's one output, as in float64", async () => {
  const outputs = observer("outputs", [0], (view) => {
    const logits_N1 = view.logits(view.train.sequences)
    const values = Float64Array.from(logits_N1.dataSync())
    expect(logits_N1.shape).toEqual([32, 1])
    logits_N1.dispose()
    return { values }
  })
  const { run, rows } = await Effect.runPromise(effect({ options: { dropout: 0 }, observers: [outputs] }))
  const values = (rows.get("outputs") as readonly Row[])[0]!["values"] as Float64Array
  const batch = [...permutation(stream(1, "order"), 32, 0).subarray(0, 4)]
  const squares = batch.map((n) => (values[n]! - data.train.labels[n]!) ** 2)
  expect(run.loss[0]).toBeCloseTo(squares.reduce((sum, square) => sum + square, 0) / 4, 6)
})

test("scores are learned and predicted, and judged by the task's metrics against the mean", async () => {
  const options = { lr: 5e-3, epochs: 12, dropout: 0, batchSize: 8, keepModel: true }
  const { run } = await Effect.runPromise(effect({ options }))
  expect(run.baseline).toBeCloseTo(data.train.labels.reduce((sum, score) => sum + score, 0) / 32, 12)
  expect(run.metrics).toEqual(["pearson", "spearman"])
  const scores = scoreOf(run)
  expect(scores[0]!.value.numerator).toBeGreaterThan(0.8)
  expect(isFailure(scores)).toBe(false)
  expect(new Set(run.predictions).size).toBeGreaterThan(2)
  // The model that is kept has one output, and opens.
  const folder = join(root, "artifact")
  mkdirSync(folder)
  await Effect.runPromise(Run.write(folder, run))
  const { modelFolder } = await Effect.runPromise(Run.read(folder))
  const outputHeads = { pooler: "read", classifier: "read" } as const
  const model = await Effect.runPromise(loadModel(modelFolder!, { outputHeads }))
  expect(model.config.labels).toHaveLength(1)
  expect(model.parameters.get("classifier.weight").shape).toEqual([1, 8])
  model.parameters.dispose()
})

test("classes are refused, as are scores by classification", async () => {
  const refusal = async (setting: Partial<Setting>) =>
    (await Effect.runPromise(Effect.flip(effect(setting)))).message
  expect(await refusal({ data: classes })).toBe(
    "regression: data must be labelled with scores, but its labels are classes",
  )
  expect(await refusal({ plugin: classification })).toBe(
    "classification: data must be labelled with classes, but its labels are scores",
  )
})
