import { describe, expect, test } from "bun:test"
import {
  crossedDifference,
  crossedInterval,
  crossedP,
  crossedSeedsNeeded,
} from "../../../../../plugins/report/shared/statistics/crossed.ts"
import { studentTwoSided } from "../../../../../plugins/report/shared/statistics/distribution.ts"
import {
  detectableDifference,
  studentPower,
  welch,
} from "../../../../../plugins/report/shared/statistics/power.ts"

const column = (values: readonly number[]) => values.map((value) => [value])

describe("crossed random effects", () => {
  test("with one checkpoint a side: scipy.stats.ttest_rel", () => {
    const crossed = crossedDifference(column([66, 65, 67, 70, 64, 69]), column([60, 64, 58, 66, 61, 63]))!
    expect(crossedP(crossed)).toBeCloseTo(0.008105740777958491, 12)
    expect(crossedInterval(crossed, 0.95).low).toBeCloseTo(1.9086884385803118, 10)
  })

  test("expected mean squares: variances of an exact decomposition come back", () => {
    // x = seed + checkpoint, without a rest: the checkpoints' part is s²(checkpoint)/K, the seeds' s²(D)/n.
    const seeds = [0, 3, 1, 5]
    const checkpoints = [2, -1, 5]
    const first = seeds.map((s) => checkpoints.map((c) => 10 + s + c))
    const crossed = crossedDifference(first, column([1, 1, 0, 2]))!
    const [ofSeeds, ofCheckpoints] = crossed.parts
    // D = 10 + seed + 2 − second: 11, 14, 13, 15
    expect(crossed.difference).toBe(13.25)
    expect(ofSeeds).toEqual({ variance: expect.closeTo(35 / 12 / 4, 12), df: 3 })
    expect(ofCheckpoints).toEqual({ variance: expect.closeTo(9 / 3, 12), df: 2 })
    // √V · Σ v t / V
    const variance = 35 / 48 + 3
    const half = ((35 / 48) * studentTwoSided(0.95, 3) + 3 * studentTwoSided(0.95, 2)) / Math.sqrt(variance)
    expect(crossedInterval(crossed, 0.95).high).toBeCloseTo(13.25 + half, 10)
  })

  test("p is the level at which the interval ends at the hypothesis", () => {
    const first = [
      [3, 5, 4],
      [6, 5, 7],
      [4, 6, 3],
      [5, 9, 6],
    ]
    const crossed = crossedDifference(first, column([3, 4, 4, 5]))!
    const p = crossedP(crossed)
    expect(crossedInterval(crossed, 1 - p).low).toBeCloseTo(0, 9)
    const other = crossedP(crossed, 5)
    expect(crossedInterval(crossed, 1 - other).high).toBeCloseTo(5, 9)
  })

  test("what does not vary is judged by its signs", () => {
    const equal = crossedDifference(column([2, 3, 4]), column([1, 2, 3]))!
    expect(crossedP(equal)).toBe(0.25)
    expect(crossedP(equal, 1)).toBe(1)
    expect(crossedDifference([[1]], [[2]])).toBeNull()
  })

  test("seeds needed: enough has power .8 by the noncentral t", () => {
    const crossed = crossedDifference(column([2, -1, 3, 0, 1, 2]), column([0, 0, 0, 0, 0, 0]))!
    const n = crossedSeedsNeeded(crossed, 0.95)!
    const error = Math.sqrt(crossed.parts[0]!.variance * 6)
    const power = (seeds: number) =>
      studentPower((crossed.difference * Math.sqrt(seeds)) / error, seeds - 1, 0.05)
    expect(power(n)).toBeGreaterThan(0.78)
    expect(power(n - 2)).toBeLessThan(0.8)
  })
})

test("power of the t test agrees with scipy.stats.nct", () => {
  expect(studentPower(2.5, 9, 0.05)).toBeCloseTo(0.6061267789823699, 10)
  expect(studentPower(3.45, 29, 0.05)).toBeCloseTo(0.915234740122521, 10)
  expect(studentPower(3, 1, 0.05)).toBeCloseTo(0.1861080742462853, 6)
})

test("the detectable difference has power .8 by scipy.stats.nct", () => {
  expect(detectableDifference(3, 0.05)).toBeCloseTo(3.264043549819919, 6)
  expect(detectableDifference(5, 0.05)).toBeCloseTo(1.681997282215744, 7)
  expect(detectableDifference(30, 0.01)).toBeCloseTo(0.6622069704679707, 8)
})

test("Welch's test agrees with scipy.stats.ttest_ind_from_stats", () => {
  const { p, interval } = welch(
    { mean: 70.8, deviation: 2.2, of: 30 },
    { mean: 64.6, deviation: 9.6, of: 30 },
    0.95,
  )
  expect(p).toBeCloseTo(0.0018703201661006306, 12)
  expect((interval.low + interval.high) / 2).toBeCloseTo(6.2, 12)
})
