import { describe, expect, test } from "bun:test"
import { chiSquareQuantile } from "../../../../../plugins/report/shared/statistics/distribution.ts"
import {
  fromMedian,
  pairedBootstrap,
  ratioInterval,
  spreadInterval,
} from "../../../../../plugins/report/shared/statistics/spread.ts"

const elsewhere = { failed: 52, others: { mean: 70, deviation: 2 } }

describe("interval of S", () => {
  const others = [68, 69, 70, 71, 72, 70, 67, 73, 70, 70]

  test("without a failure, the upper end allows for those that could still come", () => {
    const { low, high } = spreadInterval({ failed: [], others }, elsewhere, 0.95)!
    const variance = 28 / 9
    // The lower end is that of χ², of values with no more kurtosis than normal ones.
    expect(low).toBeCloseTo(Math.sqrt((variance * 9) / chiSquareQuantile(0.975, 9)), 10)
    // 27.75 % could fail, at 52: √(.2775 · .7225) · 18 = 8.06, and more for what else is uncertain.
    expect(high).toBeGreaterThan(8.06)
    expect(high).toBeLessThan(10)
  })

  test("is wide on both sides where two of twelve failed", () => {
    const { low, high } = spreadInterval({ failed: [51, 52], others }, elsewhere, 0.95)!
    const spread = 6.96
    expect(low).toBeLessThan(spread)
    expect(low).toBeGreaterThan(3)
    expect(high).toBeGreaterThan(spread)
    expect(high).toBeLessThan(11)
  })

  test("where all failed, needs to know where others lie", () => {
    const failed = [50, 51, 52]
    expect(spreadInterval({ failed, others: [] }, { failed: 51, others: null }, 0.95)).toBeNull()
    expect(spreadInterval({ failed, others: [] }, elsewhere, 0.95)!.high).toBeGreaterThan(8)
    expect(spreadInterval({ failed: [50], others: [] }, elsewhere, 0.95)).toBeNull()
  })

  test("widens with its level", () => {
    const at = (level: number) => spreadInterval({ failed: [51], others }, elsewhere, level)!
    expect(at(0.99).low).toBeLessThan(at(0.95).low)
    expect(at(0.99).high).toBeGreaterThan(at(0.95).high)
  })
})

test("the interval of a ratio: on logarithms, the distances of both add up in squares", () => {
  const { low, high } = ratioInterval({ value: 2, low: 1, high: 4 }, { value: 8, low: 4, high: 16 })
  expect(low).toBeCloseTo(0.25 * 2 ** -Math.SQRT2, 12)
  expect(high).toBeCloseTo(0.25 * 2 ** Math.SQRT2, 12)
})

test("distances from the median", () => {
  expect(fromMedian([5, 1, 3])).toEqual([2, 2, 0])
  expect(fromMedian([1, 2, 4, 9])).toEqual([2, 1, 1, 6])
})

test("the paired bootstrap does not depend on the order of sides, and is 1 for equal ones", () => {
  const first = [1, 5, 2, 8, 3, 9]
  const second = [2, 3, 2, 3, 2, 4]
  expect(pairedBootstrap(first, second)).toBe(pairedBootstrap(second, first))
  expect(pairedBootstrap(first, second)).toBeLessThan(0.05)
  expect(pairedBootstrap(first, first)).toBe(1)
})
