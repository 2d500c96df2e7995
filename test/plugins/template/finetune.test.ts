import { expect, test } from "bun:test"
import { Effect } from "effect"
import type { PluginError } from "../../../core/api/plugin.ts"
import { isFailure, type RunGiven, scoreOf } from "../../../core/artifacts/run.ts"
import { templateFinetune } from "../../../plugins/template/finetune.ts"
import { completed, examplesOf } from "../finetune/running.ts"

type Start = (context: object) => Effect.Effect<RunGiven, PluginError>
const start = templateFinetune.run as unknown as Start

test("predicts the train split's most frequent label for every dev example", async () => {
  const data = examplesOf(0, 3)
  const labelled = (labels: readonly number[], split = data.train) => ({
    ...split,
    labels: Int32Array.from(labels),
  })
  const inputs = {
    data: { ...data, train: labelled([0, 1, 1, 0, 1]), dev: labelled([1, 0, 1], data.dev) },
  }
  const options = completed(templateFinetune, {})
  const given = await Effect.runPromise(start({ options, inputs }))
  expect([...given.predictions]).toEqual([1, 1, 1])
  expect([...given.labels]).toEqual([1, 0, 1])
  expect([given.steps, given.loss.length, given.seed]).toEqual([0, 0, 0])
  const score = scoreOf(given)
  expect([score.correct, score.majority, isFailure(score)]).toEqual([2, 2, true])
})

test("takes the first of equally frequent labels", async () => {
  const data = examplesOf(0, 2)
  const inputs = { data: { ...data, train: { ...data.train, labels: Int32Array.of(1, 0) } } }
  const options = completed(templateFinetune, { seed: 7 })
  const given = await Effect.runPromise(start({ options, inputs }))
  expect([given.majorityLabel, given.seed]).toEqual([0, 7])
})
