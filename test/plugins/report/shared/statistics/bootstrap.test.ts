import { describe, expect, test } from "bun:test"
import { bcaInterval, bcaOfReplicates } from "../../../../../plugins/report/shared/statistics/bootstrap.ts"
import type { Interval } from "../../../../../plugins/report/shared/statistics/interval.ts"
import { mean, standardDeviation } from "../../../../../plugins/report/shared/statistics/moments.ts"

const deviation = (sample: ArrayLike<number>) => standardDeviation(sample, 0)

const ends = (interval: Interval): readonly [number, number] => {
  if (interval.kind === "none") throw new Error(`no interval: ${interval.why}`)
  return [interval.low, interval.high]
}

/** All nⁿ resamples: the bootstrap without random draws. */
const everyResample = (values: readonly number[]): readonly (readonly number[])[] =>
  values.reduce<readonly (readonly number[])[]>(
    (resamples) => resamples.flatMap((resample) => values.map((value) => [...resample, value])),
    [[]],
  )

const exhaustive = (values: readonly number[], statistic: (sample: ArrayLike<number>) => number) =>
  ends(
    bcaOfReplicates(
      statistic(values),
      Float64Array.from(everyResample(values), statistic),
      values.map((_, left) => statistic(values.filter((_, i) => i !== left))),
    ),
  )

describe("BCa bootstrap", () => {
  // From scipy.stats.bootstrap(method="BCa") fed with the same replicates, rounded to 10 decimals so that its exact
  // comparison sees the ties.
  test.each([
    { values: [1, 2, 4, 8, 16], statistic: mean, expected: [2.6, 12.8] },
    { values: [1, 2, 4, 8, 16], statistic: deviation, expected: [2.3323807579, 7.3484692283] },
    { values: [0, 0, 0, 1, 5], statistic: deviation, expected: [0, 2.4494897428] },
    { values: [3, 1, 4, 1, 5], statistic: deviation, expected: [1.166190379, 1.9595917942] },
    { values: [52.7, 70.4, 71.1, 68.2, 66.4], statistic: mean, expected: [56.24, 69.8] },
    { values: [52.7, 70.4, 71.1, 68.2, 66.4], statistic: deviation, expected: [1.2687001222, 9.0141222534] },
  ])("over all resamples agrees with scipy: $values $expected", ({ values, statistic, expected }) => {
    const [low, high] = exhaustive(values, statistic)
    expect(low).toBeCloseTo(expected[0]!, 8)
    expect(high).toBeCloseTo(expected[1]!, 8)
  })

  test("interpolates between replicates as numpy.percentile does", () => {
    const replicates = Float64Array.from(
      { length: 1000 },
      (_, i) => Math.sin((i + 1) ** 1.5) + 0.2 * Math.cos(i * 0.37),
    )
    const [low, high] = ends(bcaOfReplicates(0.13, replicates, [0.1, 0.4, -0.2, 0.9, 0.15, 0.3]))
    expect(low).toBeCloseTo(-1.14357308439898, 10)
    expect(high).toBeCloseTo(1.1352655219281989, 10)
  })

  test("random resamples come close to scipy's intervals, and the same values give the same bits", () => {
    const values = [52.7, 52.7, 47.3, 70.4, 71.1, 68.2, 73.6, 52.7, 66.4, 69.3]
    const [low, high] = ends(bcaInterval(values, mean))
    // scipy with three seeds: low 56.01 to 56.27, high 67.57 to 67.78.
    expect(low).toBeWithin(55.8, 56.5)
    expect(high).toBeWithin(67.4, 68)
    expect(bcaInterval(values, mean)).toEqual(bcaInterval([...values], mean))
  })

  test("says why there is none", () => {
    expect(bcaInterval([], mean)).toEqual({ kind: "none", why: "empty" })
    expect(bcaInterval([1], mean)).toEqual({ kind: "none", why: "single" })
    expect(bcaInterval([1, 2], mean)).toEqual({ kind: "none", why: "two" })
    expect(bcaInterval([3, 3, 3, 3], deviation)).toEqual({ kind: "none", why: "equal" })
    expect(bcaOfReplicates(9, Float64Array.of(1, 2, 3), [8, 9, 10])).toEqual({
      kind: "none",
      why: "one-sided",
    })
  })

  test("if leaving one out has no effect, the acceleration is 0 rather than 0/0", () => {
    const [low, high] = ends(bcaInterval([0, 0, 1, 1], deviation))
    expect(low).toBeGreaterThanOrEqual(0)
    expect(high).toBe(0.5)
  })
})
