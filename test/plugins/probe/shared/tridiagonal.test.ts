import { describe, expect, test } from "bun:test"
import { normal, stream } from "../../../../core/tensor/stream.ts"
import { eigenvalues } from "../../../../plugins/probe/shared/spectrum.ts"
import { eigenpairs } from "../../../../plugins/probe/shared/tridiagonal.ts"
import { matrixOf } from "../matrices.ts"

const draw = (count: number, site: number) => [
  ...normal({ stream: stream(3, "test"), site, iteration: 0 }, count),
]

describe("the eigenpairs of a tridiagonal matrix", () => {
  test("of −1, 2, −1 are 2 − 2 cos(kπ / (m + 1)) with sines as vectors", () => {
    const m = 40
    const pairs = eigenpairs(Array(m).fill(2), Array(m - 1).fill(-1)).toSorted((a, b) => a.value - b.value)
    for (const [at, { value, vector }] of pairs.entries()) {
      const angle = ((at + 1) * Math.PI) / (m + 1)
      expect(value).toBeCloseTo(2 - 2 * Math.cos(angle), 13)
      const sign = Math.sign(vector[0]!)
      for (const [i, x] of vector.entries()) {
        expect(sign * x).toBeCloseTo(Math.sqrt(2 / (m + 1)) * Math.sin((i + 1) * angle), 12)
      }
    }
  })

  test.each([1, 2, 3, 17, 60])("of a random one of size %p satisfy T v = λ v", (m) => {
    const [diagonal, off] = [draw(m, 0), draw(m - 1, 1)]
    const pairs = eigenpairs(diagonal, off)
    for (const { value, vector } of pairs) {
      expect(vector.reduce((sum, x) => sum + x * x, 0)).toBeCloseTo(1, 12)
      for (let i = 0; i < m; i++) {
        const before = i === 0 ? 0 : off[i - 1]! * vector[i - 1]!
        const after = i === m - 1 ? 0 : off[i]! * vector[i + 1]!
        expect(before + diagonal[i]! * vector[i]! + after).toBeCloseTo(value * vector[i]!, 12)
      }
    }
    // Jacobi's method gives no negative ones: shifted, none is.
    const shifted = matrixOf(m, (i, j) =>
      i === j ? diagonal[i]! + 10 : Math.abs(i - j) === 1 ? off[Math.min(i, j)]! : 0,
    )
    const expected = eigenvalues(shifted, m)
    for (const [at, { value }] of pairs.toSorted((a, b) => b.value - a.value).entries()) {
      expect(value).toBeCloseTo(expected[at]! - 10, 11)
    }
  })

  test("of a diagonal one are its entries, equal ones too", () => {
    expect(eigenpairs([3, -1, 3], [0, 0]).map(({ value }) => value)).toEqual([3, -1, 3])
  })

  test("of one that is not finite are refused", () => {
    expect(() => eigenpairs([1, Number.NaN], [1])).toThrow("not finite")
  })
})
