import { describe, expect, test } from "bun:test"
import {
  correlationInterval,
  correlationWithin,
  differenceWithin,
  meansWithin,
  permutationP,
  ranked,
  ranks,
} from "../../../../../plugins/report/shared/statistics/association.ts"
import { studentTwoSided } from "../../../../../plugins/report/shared/statistics/distribution.ts"
import { jackknifeInterval } from "../../../../../plugins/report/shared/statistics/jackknife.ts"
import { mean, standardDeviation } from "../../../../../plugins/report/shared/statistics/moments.ts"

describe("correlation within strata", () => {
  const x = [1, 4, 2, 8, 5]
  const y = [2, 3, 5, 9, 4]

  test("in one stratum: scipy.stats.pearsonr and spearmanr", () => {
    expect(correlationWithin([{ x, y }])).toBeCloseTo(0.8108848540793832, 12)
    expect(correlationWithin(ranked([{ x, y }]))).toBeCloseTo(0.7, 12)
  })

  test("what differs between strata does not enter", () => {
    const shifted = { x: x.map((value) => value + 100), y: y.map((value) => value - 50) }
    expect(correlationWithin([{ x, y }, shifted])).toBeCloseTo(0.8108848540793832, 12)
    expect(correlationWithin([{ x: [1, 1], y: [2, 3] }])).toBeNaN()
  })

  test("p: all 120 orders of 5 units, the same order in every stratum", () => {
    // scipy.stats.permutation_test(…, permutation_type="pairings") of the Pearson correlation
    expect(permutationP([{ x, y }])).toBeCloseTo(0.1, 12)
    expect(
      permutationP([
        { x, y },
        { x, y },
      ]),
    ).toBeCloseTo(0.1, 12)
  })

  test("p: drawn for more units, and 1 where there is no correlation at all", () => {
    const many = Array.from({ length: 12 }, (_, i) => i)
    expect(permutationP([{ x: many, y: many }])).toBeCloseTo(1 / 10_001, 12)
    expect(permutationP([{ x: [0, 1, 0, 1], y: [0, 0, 1, 1] }])).toBe(1)
  })

  test("the interval contains the correlation, and there is none at ±1", () => {
    const one = [{ x, y }]
    const interval = correlationInterval(one, correlationWithin, 0.95)!
    expect(interval.low).toBeLessThan(0.8109)
    expect(interval.high).toBeGreaterThan(0.8109)
    expect(interval.high).toBeLessThan(1)
    expect(correlationInterval([{ x, y: x }], correlationWithin, 0.95)).toBeNull()
  })
})

test("ranks: ties share their mean", () => {
  expect(ranks([3, 1, 3, 2])).toEqual([3.5, 1, 3.5, 2])
})

test("means within strata are weighted by n₁n₀/n, and strata in which all are alike do not count", () => {
  const strata = [
    { x: [1, 0, 0, 0], y: [5, 1, 2, 3] },
    { x: [1, 1, 0, 0], y: [8, 10, 4, 6] },
    { x: [1, 1, 1, 1], y: [100, 100, 100, 100] },
  ]
  // Weights .75 and 1: differences 3 and 4.
  expect(differenceWithin(strata)).toBeCloseTo((0.75 * 3 + 4) / 1.75, 12)
  expect(meansWithin(strata).ones).toBeCloseTo((0.75 * 5 + 9) / 1.75, 12)
})

test("the jackknife of a mean is the interval by Student's t", () => {
  const values = [3, 5, 4, 8, 6]
  const half = (studentTwoSided(0.95, 4) * standardDeviation(values, 1)) / Math.sqrt(5)
  const interval = jackknifeInterval(5, mean(values), (i) => mean(values.filter((_, j) => j !== i)), 0.95)!
  expect(interval.low).toBeCloseTo(mean(values) - half, 12)
  expect(interval.high).toBeCloseTo(mean(values) + half, 12)
  expect(jackknifeInterval(5, 1, () => null, 0.95)).toBeNull()
  expect(jackknifeInterval(2, 1, () => 1, 0.95)).toBeNull()
})
