import { expect, test } from "bun:test"
import { testContrastiveLoss, testPlugin } from "kasosei/testing"
import { vicreg } from "../../../plugins/pretrain/vicreg.ts"
import { column, lossOf, mean, projected, trained, views } from "./views.ts"

const projection = 6
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

testPlugin(vicreg, { options: { batchSize: 16, steps: 4, projection: 16 } })
testContrastiveLoss(vicreg, { options: { projection } })

test.each([
  { invariance: 25, variance: 25, covariance: 1 },
  { invariance: 1, variance: 0, covariance: 0 },
  { invariance: 0, variance: 0, covariance: 100 },
])("the loss with the weights %j is that of the paper, as in float64", (weights) => {
  const loss = lossOf(vicreg, { projection, ...weights })
  const [x, y] = views.map((view) => projected(view, projection)) as [number[][], number[][]]
  const features = [...Array(projection).keys()]
  const covarianceOf = (rows: readonly number[][], i: number, j: number) => {
    const [a, b] = [column(rows, i), column(rows, j)]
    return sum(a.map((value, n) => (value - mean(a)) * (b[n]! - mean(b)))) / (rows.length - 1)
  }
  const invariance = mean(x.map((row, n) => sum(row.map((value, p) => (value - y[n]![p]!) ** 2))))
  const variance = [x, y].map((rows) =>
    mean(features.map((p) => Math.max(0, 1 - Math.sqrt(covarianceOf(rows, p, p) + 1e-4)))),
  )
  const covariance = [x, y].map(
    (rows) =>
      sum(features.flatMap((i) => features.map((j) => (i === j ? 0 : covarianceOf(rows, i, j) ** 2)))) /
      projection,
  )
  const expected =
    weights.invariance * invariance + weights.variance * sum(variance) + weights.covariance * sum(covariance)
  expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-4)
})

test("training lowers the loss", async () => {
  const { loss } = await trained((given) =>
    vicreg({ ...given, batchSize: 8, steps: 40, lr: 0.01, projection: 16 }),
  )
  expect(mean(loss.slice(-5))).toBeLessThan(mean(loss.slice(0, 5)) - 2)
})
