import { describe, expect, test } from "bun:test"
import {
  THRESHOLDS,
  thresholdRanksOf,
  thresholdSentences,
} from "../../../../../plugins/report/study-page/statistics/threshold.ts"
import { rank, studyOf } from "../fragments.ts"

/** A spectrum of which `large` equal eigenvalues make up 0.9712, and the others the rest. */
const spectrum = (large: number, small: number) => [
  ...new Array<number>(large).fill(0.9712 / large),
  ...new Array<number>(small).fill(0.0288 / small),
]
const at = (arm: string, seed: number, eigenvalues: readonly number[]) => ({
  ...rank(arm, seed, 0, 1),
  eigenvalues,
})

/** Few large and many small eigenvalues in SimCSE, the other way round in vanilla: its rank is lower, then higher. */
const crossing = studyOf({
  before: [1, 2, 3, 4].flatMap((seed) => [
    at("vanilla", seed, spectrum(7 + (seed % 2), 2)),
    at("SimCSE", seed, spectrum(3, 12 - (seed % 2))),
  ]),
})

describe("ranks at other thresholds", () => {
  test("are those of the eigenvalues' sums, counted by hand", () => {
    const ranks = thresholdRanksOf(crossing)
    expect(ranks).toHaveLength(2 * THRESHOLDS.length)
    const means = new Map(ranks.map(({ arm, threshold, rank }) => [`${arm} ${threshold}`, rank.mean]))
    // vanilla: 7 or 8 equal eigenvalues; more than 0.9 takes all of them. SimCSE: all 3.
    expect(means.get("vanilla 0.9")).toBe(7.5 / 16)
    expect(means.get("SimCSE 0.9")).toBe(3 / 16)
    // More than 0.999 takes every eigenvalue.
    expect(means.get("vanilla 0.999")).toBe((9 + 10) / 2 / 16)
    expect(means.get("SimCSE 0.999")).toBe((15 + 14) / 2 / 16)
  })

  test("a sentence says where the sign of a difference changes", () => {
    const [sentence, ...others] = thresholdSentences(thresholdRanksOf(crossing), "vanilla")
    expect(others).toEqual([])
    expect(sentence).toContain(
      "The difference of SimCSE from vanilla in the sum of ranks depends on the threshold: −0.281 (",
    )
    expect(sentence).toContain("+0.313 (")
    // More than 0.98 takes 1 small one of 2 in vanilla, 8.5 in all, and 4 small ones in SimCSE, 7; more than 0.985 takes
    // 1 and 6 small ones: 8.5 and 9.
    expect(sentence).toContain("its sign changes between 0.98 and 0.985;")
    expect(sentence).toContain("its 95 % interval excludes 0 at 0.9 to 0.98, 0.99 to 0.999 only.")
  })

  test("no sentence where the threshold does not matter, nor where no interval can tell", () => {
    const apart = studyOf({
      before: [1, 2, 3, 4].flatMap((seed) => [
        at("vanilla", seed, spectrum(3 + (seed % 2), 2)),
        at("SimCSE", seed, spectrum(12 - (seed % 2), 2)),
      ]),
    })
    expect(thresholdSentences(thresholdRanksOf(apart), "vanilla")).toEqual([])
    const single = studyOf({ before: crossing.before.filter(({ seed }) => seed === 1) })
    expect(thresholdSentences(thresholdRanksOf(single), "vanilla")).toEqual([])
    expect(thresholdSentences(thresholdRanksOf(studyOf({})), "vanilla")).toEqual([])
  })
})
