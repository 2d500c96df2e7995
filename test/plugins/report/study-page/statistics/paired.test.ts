import { describe, expect, test } from "bun:test"
import { comparisonsOf } from "../../../../../plugins/report/study-page/statistics/paired.ts"
import { stabilityOf } from "../../../../../plugins/report/study-page/statistics/stability.ts"
import { done, studyOf } from "../fragments.ts"

describe("comparison of cohorts", () => {
  test("pairs seeds, skips runs without an accuracy, and gives exactly 0 for equal counts", () => {
    const study = studyOf({
      runs: [
        done("vanilla", 1e-5, 3, 150),
        done("vanilla", 1e-5, 1, 146),
        done("vanilla", 1e-5, 2, 200),
        done("vanilla", 1e-5, 4, 190),
        { arm: "SimCSE", checkpoint: null, lr: 1e-5, seed: 4, status: "diverged", reason: "NaN" },
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
    const { differences, mean } = comparison!.difference
    expect(differences).toEqual([(100 * 54) / 277, 0, (100 * -10) / 277].map((x) => expect.closeTo(x, 12)))
    expect(differences[1]).toBe(0)
    expect(mean).toBeCloseTo((100 * 44) / 277 / 3, 12)
    expect(comparison!.signedRank).toEqual({ n: 2, p: 1 })
  })

  test("without a common seed there is no mean", () => {
    const study = studyOf({ runs: [done("vanilla", 1e-5, 1, 150), done("SimCSE", 1e-5, 2, 150)] })
    const [comparison] = comparisonsOf(stabilityOf(study))
    expect(comparison).toMatchObject({
      difference: { differences: [], mean: null, interval: { kind: "none", why: "empty" } },
      studentP: null,
      signedRank: null,
      leastP: null,
    })
  })
})
