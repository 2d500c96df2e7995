import { expect, test } from "bun:test"
import { Effect } from "effect"
import type { PluginError } from "../../../core/api/plugin.ts"
import { isFailure, type RunGiven, scoreOf } from "../../../core/artifacts/run.ts"
import { templateFinetune } from "../../../plugins/template/finetune.ts"
import { completed, examplesOf } from "../finetune/running.ts"

type Start = (context: object) => Effect.Effect<RunGiven, PluginError>
const start = templateFinetune.run as unknown as Start

test("predicts the train split's most frequent class for every dev example", async () => {
  const data = examplesOf(0, 3)
  const labelled = (labels: readonly number[], split = data.train) => ({
    ...split,
    labels: Float64Array.from(labels),
  })
  const inputs = {
    data: { ...data, train: labelled([0, 1, 1, 0, 1]), dev: labelled([1, 0, 1], data.dev) },
  }
  const options = completed(templateFinetune, {})
  const given = await Effect.runPromise(start({ options, inputs }))
  expect([...given.predictions]).toEqual([1, 1, 1])
  expect([...given.labels]).toEqual([1, 0, 1])
  expect([given.steps, given.loss.length, given.seed]).toEqual([0, 0, 0])
  const scores = scoreOf(given)
  const correct = { numerator: 2, denominator: 3 }
  expect(scores).toEqual([{ metric: "accuracy", value: correct, baseline: correct }])
  expect(isFailure(scores)).toBe(true)
})

test("takes the first of equally frequent classes", async () => {
  const data = examplesOf(0, 2)
  const inputs = { data: { ...data, train: { ...data.train, labels: Float64Array.of(1, 0) } } }
  const options = completed(templateFinetune, { seed: 7 })
  const given = await Effect.runPromise(start({ options, inputs }))
  expect([given.baseline, given.seed]).toEqual([0, 7])
})

test("predicts the mean of scores", async () => {
  const data = examplesOf(0, 2)
  const scores = { ...data.train, labels: Float64Array.of(1, 4.5) }
  const inputs = { data: { ...data, labelNames: null, metrics: ["pearson" as const], train: scores } }
  const options = completed(templateFinetune, {})
  const given = await Effect.runPromise(start({ options, inputs }))
  expect([...given.predictions]).toEqual([2.75, 2.75])
  expect(isFailure(scoreOf(given))).toBe(true)
})
