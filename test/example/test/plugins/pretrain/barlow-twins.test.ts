import { expect, test } from "bun:test"
import { testContrastiveLoss, testPlugin } from "kasosei/testing"
import { barlowTwins } from "../../../plugins/pretrain/barlow-twins.ts"
import { column, lossOf, mean, projected, trained, views } from "./views.ts"

const projection = 6

testPlugin(barlowTwins, { options: { batchSize: 16, steps: 4, projection: 16 } })
testContrastiveLoss(barlowTwins, { options: { redundancy: 0.5, projection } })

test.each([0.005, 0.5])(
  "the loss with λ = %p is that of the cross-correlation, as in float64",
  (redundancy) => {
    const standardised = (rows: readonly number[][]) =>
      Array.from({ length: projection }, (_, p) => {
        const values = column(rows, p)
        const centre = mean(values)
        const deviation = Math.sqrt(mean(values.map((value) => (value - centre) ** 2)) + 1e-5)
        return values.map((value) => (value - centre) / deviation)
      })
    const [x, y] = views.map((view) => standardised(projected(view, projection)))
    const terms = x!.flatMap((a, i) =>
      y!.map((b, j) => {
        const correlation = mean(a.map((value, n) => value * b[n]!))
        return i === j ? (1 - correlation) ** 2 : redundancy * correlation ** 2
      }),
    )
    expect(lossOf(barlowTwins, { redundancy, projection })).toBeCloseTo(
      terms.reduce((sum, term) => sum + term, 0),
      3,
    )
  },
)

test("training lowers the loss, and leaves its projector behind", async () => {
  // The first term alone would ask for more of a model this small than that two features are not the same.
  const settings = { batchSize: 32, steps: 60, lr: 0.01, projection: 4, dropout: 0.02, redundancy: 0.5 }
  const { loss, tensors } = await trained((given) => barlowTwins({ ...given, ...settings }))
  expect(mean(loss.slice(-5))).toBeLessThan(0.8 * mean(loss.slice(0, 5)))
  expect(tensors).toContain("bert.pooler.dense.weight")
  expect(tensors.filter((name) => name.includes("projector"))).toEqual([])
})
