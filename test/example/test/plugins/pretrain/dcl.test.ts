import { expect, test } from "bun:test"
import { dcl } from "../../../plugins/pretrain/dcl.ts"
import { firstViews, mean, trained } from "./training.ts"

test.each([0.05, 1])(
  "the loss at temperature %p leaves out the positive pair, as in float64",
  async (temperature) => {
    const [loss] = await trained(dcl, { steps: 1, dropout: 0.3, temperature })
    const both = await firstViews(0.3)
    const cosine = (x: readonly number[], y: readonly number[]) =>
      x.reduce((sum, value, i) => sum + value * y[i]!, 0) / (Math.hypot(...x) * Math.hypot(...y))
    const terms = both.flatMap((views, k) =>
      views.map((x, i) => {
        const others = both.flat().filter((_, j) => j % 8 !== i)
        const total = others.reduce((sum, y) => sum + Math.exp(cosine(x, y) / temperature), 0)
        return Math.log(total) - cosine(x, both[1 - k]![i]!) / temperature
      }),
    )
    expect(loss).toBeCloseTo(mean(terms), 3)
  },
)

test("training lowers the loss", async () => {
  const losses = await trained(dcl, { steps: 40, lr: 0.01 })
  expect(mean(losses.slice(-5))).toBeLessThan(mean(losses.slice(0, 5)) - 0.3)
})
