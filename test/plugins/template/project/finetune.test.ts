import { expect, test } from "bun:test"
import { isFailure, scoreOf } from "../../../../core/artifacts/run.ts"
import { templateFinetune } from "../../../../plugins/template/finetune.ts"
import { testPlugin, toyStudy, withArtifacts } from "../../../../plugins/testing/testing.ts"

testPlugin(templateFinetune)

test("predicts the train split's most frequent label for every dev example", () =>
  withArtifacts(async (artifactOf) => {
    const { examples } = toyStudy
    const data = await artifactOf(examples)
    const run = await artifactOf(templateFinetune({ data: examples, seed: 7 }))
    const ones = data.train.labels.filter((label) => label === 1).length
    const majority = 2 * ones > data.train.labels.length ? 1 : 0
    expect([...run.predictions]).toEqual([...data.dev.labels].map(() => majority))
    expect([run.seed, isFailure(scoreOf(run))]).toEqual([7, true])
  }))
