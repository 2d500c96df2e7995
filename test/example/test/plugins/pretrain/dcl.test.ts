import { expect, test } from "bun:test"
import { testContrastiveLoss, testPlugin } from "kasosei/testing"
import { dcl } from "../../../plugins/pretrain/dcl.ts"
import { lossOf, mean, trained, views } from "./views.ts"

testPlugin(dcl, { options: { batchSize: 16, steps: 4 } })
testContrastiveLoss(dcl, { options: { temperature: 0.5 } })

test.each([0.05, 1])(
  "the loss at temperature %p leaves out the positive pair, as in float64",
  (temperature) => {
    const cosine = (x: readonly number[], y: readonly number[]) =>
      x.reduce((sum, value, i) => sum + value * y[i]!, 0) / (Math.hypot(...x) * Math.hypot(...y))
    const terms = views.flatMap((rows, k) =>
      rows.map((x, i) => {
        const others = views.flat().filter((_, j) => j % rows.length !== i)
        const total = others.reduce((sum, y) => sum + Math.exp(cosine(x, y) / temperature), 0)
        return Math.log(total) - cosine(x, views[1 - k]![i]!) / temperature
      }),
    )
    expect(lossOf(dcl, { temperature })).toBeCloseTo(mean(terms), 4)
  },
)

test("training lowers the loss", async () => {
  const { loss } = await trained((given) => dcl({ ...given, batchSize: 8, steps: 40, lr: 0.01 }))
  expect(mean(loss.slice(-5))).toBeLessThan(mean(loss.slice(0, 5)) - 0.3)
})
