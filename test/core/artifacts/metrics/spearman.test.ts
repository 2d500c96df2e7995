import { describe, expect, test } from "bun:test"
import { averageRanks, spearman } from "../../../../core/artifacts/metrics/spearman.ts"

describe("averageRanks", () => {
  test("equal values get the mean of their ranks", () => {
    expect([...averageRanks([10, 20, 20, 5, 20])]).toEqual([2, 4, 4, 1, 4])
    expect([...averageRanks([])]).toEqual([])
    expect([...averageRanks([0, -0])]).toEqual([1.5, 1.5])
  })
})

describe("spearman", () => {
  const sequence = (count: number, value: (i: number) => number) =>
    Array.from({ length: count }, (_, i) => value(i))
  // Figures of scipy.stats.spearmanr.
  test.each([
    ["few ties", [3, 1, 2, 2, 5], [1, 1, 2, 4, 4], 0.40555355282690636],
    [
      "graded scores",
      [0, 0, 1, 2.5, 2.5, 2.5, 5, 4],
      [0.1, 0.2, 0.2, 0.9, 0.3, 0.3, 0.8, 0.8],
      0.8313149490175622,
    ],
    ["no ties", [1, 2, 3, 4, 5, 6, 7], [2, 7, 6, 1, 8, 3, 9], 0.4642857142857144],
    [
      "500 pairs",
      sequence(500, (i) => (i * 7919) % 101),
      sequence(500, (i) => Math.floor(((i * i * 31) % 97) / 5)),
      0.008192188430290907,
    ],
    [
      "60 pairs of few values",
      sequence(60, (i) => (i * 37) % 11),
      sequence(60, (i) => Math.floor(((i * 37) % 11) / 2) + ((i * 5) % 3)),
      0.8928898042652873,
    ],
  ])("agrees with scipy: %s", (_, x, y, expected) => {
    expect(spearman(x, y)).toBeCloseTo(expected, 13)
    expect(spearman(y, x)).toBeCloseTo(expected, 13)
  })

  test("is 1 for any increasing relation and −1 for any decreasing one, ties included", () => {
    const x = [1, 2, 2, 7, 9]
    expect(
      spearman(
        x,
        x.map((value) => Math.exp(value)),
      ),
    ).toBe(1)
    expect(
      spearman(
        x,
        x.map((value) => -(value ** 3)),
      ),
    ).toBe(-1)
  })

  test("is undefined for a constant side, a NaN, or fewer than two pairs", () => {
    expect(spearman([1, 1, 1], [1, 2, 3])).toBeNaN()
    expect(spearman([1, 2, 3], [4, 4, 4])).toBeNaN()
    expect(spearman([1, Number.NaN, 3], [1, 2, 3])).toBeNaN()
    expect(spearman([1], [1])).toBeNaN()
    expect(spearman([], [])).toBeNaN()
  })

  test("refuses sides of different length", () => {
    expect(() => spearman([1, 2], [1])).toThrow("expected equal lengths, found 2 and 1")
  })
})
