import { beforeAll, expect, test } from "bun:test"
import { type } from "arktype"
import { alignmentUniformity } from "../../../plugins/pretrain/alignment-uniformity.ts"
import { drawn, expectDifferentiable } from "../../../plugins/testing/differences.ts"
import { testContrastiveLoss } from "../../../plugins/testing/testing.ts"
import { lossOf, mean, unitViews } from "./contrastive-losses.ts"
import { onWasm } from "./running.ts"

beforeAll(onWasm)
testContrastiveLoss(alignmentUniformity)

const squared = (x: readonly number[], y: readonly number[]) =>
  x.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0)

/** As the authors' code computes it: over pairs i < j. */
const uniformityOf = (rows: readonly number[][], t: number) =>
  Math.log(mean(rows.flatMap((x, i) => rows.slice(i + 1).map((y) => Math.exp(-t * squared(x, y))))))

test.each([
  {},
  { alignment: 0 },
  { uniformity: 0 },
  { alignment: 0.98, uniformity: 0.96, alpha: 1, t: 3 },
  // The mean of the exponentials is below the least float32: exp(−100 · 4) is 0.
  { t: 100 },
])("the loss with %j is that of the paper, as in float64", (options) => {
  const { alignment, uniformity, alpha, t } = { alignment: 1, uniformity: 1, alpha: 2, t: 2, ...options }
  const [first, second] = unitViews
  const aligned = mean(first.map((x, i) => squared(x, second[i]!) ** (alpha / 2)))
  const spread = (uniformityOf(first, t) + uniformityOf(second, t)) / 2
  expect(lossOf(alignmentUniformity, options)).toBeCloseTo(alignment * aligned + uniformity * spread, 4)
})

test.each([
  { alignment: 0, t: 5 },
  { uniformity: 0, alpha: 3 },
])("the gradient with %j is that by differences", (options) => {
  const filled = alignmentUniformity.options.assert({ steps: 1, ...options })
  expectDifferentiable(
    (given) => {
      const views = { first_NH: given.get("first"), second_NH: given.get("second") } as const
      const parameter = () => given.get("none") as never
      return alignmentUniformity.contrast.loss(
        { ...views, indices_N: new Int32Array(4), parameter } as never,
        filled,
      )
    },
    { first: drawn([4, 3], 0), second: drawn([4, 3], 1) },
  )
})

test("equal views have no alignment to gain, with any exponent", () => {
  for (const alpha of [1, 2])
    expect(lossOf(alignmentUniformity, { uniformity: 0, alpha }, true)).toBeCloseTo(0, 5)
})

test("weights that are both 0 are refused", () => {
  const refused = alignmentUniformity.options({ alignment: 0, uniformity: 0 })
  expect(refused).toBeInstanceOf(type.errors)
  expect(String(refused)).toContain("a weight above 0 for alignment or uniformity")
})
