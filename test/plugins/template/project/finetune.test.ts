import { expect, test } from "bun:test"
import { classification } from "../../../../plugins/finetune/classification.ts"
import { templateFinetune } from "../../../../plugins/template/finetune.ts"
import { testObjective, testPlugin, toyStudy, withArtifacts } from "../../../../plugins/testing/testing.ts"

const settings = { lr: 1e-3, seed: 1, batchSize: 8, epochs: 2 }

testPlugin(templateFinetune, { options: settings })
testObjective(templateFinetune)

test("without smoothing, the losses are those of classification", () =>
  withArtifacts(async (artifactOf) => {
    const inputs = { data: toyStudy.examples, checkpoint: toyStudy.checkpoint, ...settings }
    const plain = await artifactOf(classification(inputs))
    const unsmoothed = await artifactOf(templateFinetune({ ...inputs, smoothing: 0 }))
    const smoothed = await artifactOf(templateFinetune({ ...inputs, smoothing: 0.5 }))
    for (const [update, loss] of plain.loss.entries()) {
      expect(unsmoothed.loss[update]!).toBeCloseTo(loss, 5)
    }
    expect(smoothed.loss).not.toEqual(unsmoothed.loss)
  }))
