import { expect, test } from "bun:test"
import { barlowTwins } from "../../../plugins/pretrain/barlow-twins.ts"
import { column, firstViews, mean, projected, trained } from "./training.ts"

const projection = 6

test.each([0.005, 0.5])(
  "the loss with λ = %p is that of the cross-correlation, as in float64",
  async (redundancy) => {
    const [loss] = await trained(barlowTwins, { steps: 1, dropout: 0.3, redundancy, projection })
    const standardised = (rows: readonly number[][]) =>
      Array.from({ length: projection }, (_, p) => {
        const values = column(rows, p)
        const centre = mean(values)
        const deviation = Math.sqrt(mean(values.map((value) => (value - centre) ** 2)) + 1e-5)
        return values.map((value) => (value - centre) / deviation)
      })
    const [x, y] = (await firstViews(0.3)).map((view) => standardised(projected(view, projection)))
    const terms = x!.flatMap((a, i) =>
      y!.map((b, j) => {
        const correlation = mean(a.map((value, n) => value * b[n]!))
        return i === j ? (1 - correlation) ** 2 : redundancy * correlation ** 2
      }),
    )
    expect(loss).toBeCloseTo(
      terms.reduce((sum, term) => sum + term, 0),
      3,
    )
  },
)

test("training lowers the loss", async () => {
  const losses = await trained(barlowTwins, { steps: 40, lr: 0.003, projection: 16 })
  expect(mean(losses.slice(-5))).toBeLessThan(0.8 * mean(losses.slice(0, 5)))
})
