import { describe, expect, test } from "bun:test"
import {
  comparisonsOf,
  holm,
  signedRank,
} from "../../../../../plugins/report/study-page/statistics/paired.ts"
import { stabilityOf } from "../../../../../plugins/report/study-page/statistics/stability.ts"
import { done, studyOf } from "../fragments.ts"

describe("signed-rank test", () => {
  // From scipy.stats.wilcoxon with an exhaustive PermutationMethod; ties and zeros included.
  test.each([
    { differences: [5, 3, -2, 7, 0, 4, 4, -1], n: 7, p: 0.078125 },
    { differences: [3, 3, 3, 3, 3], n: 5, p: 0.0625 },
    { differences: [1, -1, 2, -2], n: 4, p: 1 },
    { differences: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], n: 10, p: 2 / 1024 },
    { differences: [-4, 6, 0, 0, 2, 2, -2, 8, 11, 3], n: 8, p: 0.140625 },
    { differences: [1, 2, 3, 4, 5, 6, 7, 8, 9, -10], n: 10, p: 0.083984375 },
  ])("$differences", ({ differences, n, p }) => {
    expect(signedRank(differences)).toEqual({ n, p: expect.closeTo(p, 12) })
    expect(signedRank(differences.map((d) => -d))!.p).toBeCloseTo(p, 12)
  })

  test("agrees with a count over all combinations of signs", () => {
    const differences = [2, -3, 5, 5, -5, 8, 1, -1, 13]
    const ranks = [3, 4, 6, 6, 6, 8, 1.5, 1.5, 9]
    const observed = 3 + 6 + 6 + 8 + 1.5 + 9
    const far = Math.abs(observed - 22.5)
    const sums = Array.from({ length: 2 ** 9 }, (_, signs) =>
      ranks.reduce((sum, rank, i) => sum + ((signs >> i) & 1 ? rank : 0), 0),
    )
    const extreme = sums.filter((sum) => Math.abs(sum - 22.5) >= far).length
    expect(signedRank(differences)!.p).toBeCloseTo(extreme / 2 ** 9, 12)
  })

  test("is null without a difference", () => {
    expect(signedRank([])).toBeNull()
    expect(signedRank([0, 0])).toBeNull()
  })

  test("stays finite for many seeds", () => {
    const p = signedRank(Array.from({ length: 200 }, (_, i) => i + 1))!.p
    expect(p / 2 ** -199).toBeCloseTo(1, 10)
  })
})

test("Holm's adjustment by hand", () => {
  expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02])
  expect(holm([0.9, 0.8])).toEqual([1, 1])
  expect(holm([])).toEqual([])
})

describe("comparison of cohorts", () => {
  test("pairs seeds, skips runs without an accuracy, and gives exactly 0 for equal counts", () => {
    const study = studyOf({
      runs: [
        done("vanilla", 1e-5, 3, 150),
        done("vanilla", 1e-5, 1, 146),
        done("vanilla", 1e-5, 2, 200),
        done("vanilla", 1e-5, 4, 190),
        { arm: "SimCSE", lr: 1e-5, seed: 4, status: "diverged", reason: "NaN" },
        done("SimCSE", 1e-5, 1, 200),
        done("SimCSE", 1e-5, 2, 200),
        done("SimCSE", 1e-5, 3, 140),
        done("SimCSE", 1e-5, 9, 277),
        done("SimCSE", 2e-5, 1, 277),
      ],
    })
    const [comparison, ...others] = comparisonsOf(stabilityOf(study))
    expect(others).toEqual([])
    expect(comparison).toMatchObject({ arm: "SimCSE", baseline: "vanilla", lr: 1e-5 })
    expect(comparison!.differences).toEqual(
      [(100 * 54) / 277, 0, (100 * -10) / 277].map((x) => expect.closeTo(x, 12)),
    )
    expect(comparison!.differences[1]).toBe(0)
    expect(comparison!.mean).toBeCloseTo((100 * 44) / 277 / 3, 12)
    expect(comparison!.signedRank).toEqual({ n: 2, p: 1 })
  })

  test("without a common seed there is no mean", () => {
    const study = studyOf({ runs: [done("vanilla", 1e-5, 1, 150), done("SimCSE", 1e-5, 2, 150)] })
    const [comparison] = comparisonsOf(stabilityOf(study))
    expect(comparison).toMatchObject({ differences: [], mean: null, signedRank: null })
    expect(comparison!.meanStudent).toEqual({ kind: "none", why: "empty" })
  })
})
