import { describe, expect, test } from "bun:test"
import { meanInterval } from "../../../../../plugins/report/shared/statistics/interval.ts"
import { mean, standardDeviation } from "../../../../../plugins/report/shared/statistics/moments.ts"

const ends = (interval: ReturnType<typeof meanInterval>): readonly [number, number] => {
  if (interval.kind === "none") throw new Error(`no interval: ${interval.why}`)
  return [interval.low, interval.high]
}

describe("moments", () => {
  test("mean and deviations of samples computed by hand", () => {
    expect(mean([2, 4, 4, 4, 5, 5, 7, 9])).toBe(5)
    expect(standardDeviation([2, 4, 4, 4, 5, 5, 7, 9], 0)).toBe(2)
    expect(standardDeviation([1, 2, 3, 4], 1)).toBeCloseTo(Math.sqrt(5 / 3), 14)
  })

  test("equal values have a deviation of exactly 0, however they are rounded", () => {
    const equal = new Array(30).fill((100 * 146) / 277)
    expect(mean(equal)).toBe((100 * 146) / 277)
    expect(standardDeviation(equal, 0)).toBe(0)
    expect(standardDeviation(equal, 1)).toBe(0)
  })
})

describe("Student's t interval of the mean", () => {
  test("three values by hand: 2 ± 4.302652730·1/√3", () => {
    const [low, high] = ends(meanInterval([1, 2, 3]))
    expect(low).toBeCloseTo(2 - 4.302652729749462 / Math.sqrt(3), 12)
    expect(high).toBeCloseTo(2 + 4.302652729749462 / Math.sqrt(3), 12)
  })

  test("says why there is none", () => {
    expect(meanInterval([])).toEqual({ kind: "none", why: "empty" })
    expect(meanInterval([52.7])).toEqual({ kind: "none", why: "single" })
    expect(meanInterval([52.7, 52.7])).toEqual({ kind: "none", why: "equal" })
    expect(meanInterval([1, 2]).kind).toBe("interval")
  })
})
