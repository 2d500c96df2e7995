import { describe, expect, test } from "bun:test"
import { signedRank } from "../../../../../plugins/report/shared/statistics/signed-rank.ts"

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
