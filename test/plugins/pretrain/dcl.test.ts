import { beforeAll, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { dcl } from "../../../plugins/pretrain/dcl.ts"
import { testContrastiveLoss, toyStudy, withArtifacts } from "../../../plugins/testing/testing.ts"
import { dot, lossOf, mean, unitViews } from "./contrastive-losses.ts"
import { onWasm } from "./running.ts"

beforeAll(onWasm)
testContrastiveLoss(dcl, { options: { temperature: 0.5 } })

test.each([0.01, 0.05, 1])(
  "the loss at temperature %p leaves out the positive pair, as in float64",
  (temperature) => {
    const terms = unitViews.flatMap((rows, k) =>
      rows.map((x, i) => {
        const others = unitViews.flat().filter((_, j) => j % rows.length !== i)
        const total = others.reduce((sum, y) => sum + Math.exp(dot(x, y) / temperature), 0)
        return Math.log(total) - dot(x, unitViews[1 - k]![i]!) / temperature
      }),
    )
    expect(Math.abs(lossOf(dcl, { temperature }) / mean(terms) - 1)).toBeLessThan(1e-5)
  },
)

test("training lowers the loss", () =>
  withArtifacts(async (artifactOf) => {
    const { corpus, checkpoint } = toyStudy
    const { folder } = await artifactOf(dcl({ corpus, checkpoint, batchSize: 8, steps: 40, lr: 0.01 }))
    const { loss } = JSON.parse(readFileSync(join(folder, "training.json"), "utf8"))
    expect(mean(loss.slice(-5))).toBeLessThan(mean(loss.slice(0, 5)) - 0.3)
  }))
