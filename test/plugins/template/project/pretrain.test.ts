import { expect, test } from "bun:test"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { templatePretrain } from "../../../../plugins/template/pretrain.ts"
import {
  testContrastiveLoss,
  testPlugin,
  toyStudy,
  withArtifacts,
} from "../../../../plugins/testing/testing.ts"

testPlugin(templatePretrain, {
  options: { batchSize: 16, steps: 4, evalEvery: 2 },
  inputs: { dev: toyStudy.similarity },
})
testContrastiveLoss(templatePretrain)

test("training lowers the loss", () =>
  withArtifacts(async (artifactOf) => {
    const { corpus, checkpoint } = toyStudy
    const settings = { batchSize: 16, steps: 24, lr: 5e-3 }
    const { folder } = await artifactOf(templatePretrain({ corpus, checkpoint, ...settings }))
    const { loss } = JSON.parse(await readFile(join(folder, "training.json"), "utf8"))
    expect(loss).toHaveLength(24)
    expect(loss.at(-1)).toBeLessThan(loss[0])
  }))
