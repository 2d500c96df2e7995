import { describe, expect, test } from "bun:test"
import { eigenvaluesByReduction } from "../../../../plugins/probe/weight-rank/reduction.ts"
import { squaredSingularValues } from "../../../../plugins/probe/weight-rank/singular-values.ts"
import { equalCorrelation, matrixOf } from "../matrices.ts"
import { gaussian, gramOf, singularValues } from "../vectors.ts"

/** The largest deviation, as a fraction of the largest value. */
const deviation = (found: Float64Array, expected: ArrayLike<number>): number => {
  expect(found).toHaveLength(expected.length)
  return Math.max(...found.map((value, i) => Math.abs(value - expected[i]!))) / expected[0]!
}

describe("eigenvalues by reduction", () => {
  test.each([
    [1, 0.5],
    [2, 0.5],
    [16, 0],
    [16, 0.84],
    [7, 1],
  ])("of %p unit vectors with pairwise cosine %p", (n, rho) => {
    const expected = [1 + (n - 1) * rho, ...Array<number>(n - 1).fill(1 - rho)]
    expect(deviation(eigenvaluesByReduction(equalCorrelation(n, rho), n), expected)).toBeLessThan(1e-14)
  })

  test("of the second difference matrix are 2 − 2 cos(kπ/(n+1))", () => {
    const n = 150
    const matrix = matrixOf(n, (i, j) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0))
    const expected = Array.from({ length: n }, (_, k) => 2 - 2 * Math.cos(((n - k) * Math.PI) / (n + 1)))
    expect(deviation(eigenvaluesByReduction(matrix, n), expected)).toBeLessThan(1e-13)
  })

  test("of Gram matrices are the squares of singular values found without them", () => {
    for (const [rows, columns] of [
      [20, 30],
      [30, 20],
    ] as const) {
      const vectors = gaussian(rows, columns)
      const expected = singularValues(vectors).map((sigma) => sigma ** 2)
      expect(deviation(eigenvaluesByReduction(gramOf(vectors), rows), expected)).toBeLessThan(1e-13)
    }
  })

  test("of the zero matrix are 0", () => {
    expect([...eigenvaluesByReduction(new Float64Array(16), 4)]).toEqual([0, 0, 0, 0])
  })
})

describe("squared singular values", () => {
  test.each([
    [9, 5],
    [5, 9],
    [8, 8],
    [1, 4],
  ])("of a matrix of %p x %p are those of its rows", (outputs, inputs) => {
    const rows = gaussian(outputs, inputs)
    const found = squaredSingularValues(Float32Array.from(rows.flat()), outputs, inputs)
    const expected = singularValues(rows).slice(0, Math.min(outputs, inputs))
    expect(
      deviation(
        found,
        expected.map((sigma) => sigma ** 2),
      ),
    ).toBeLessThan(1e-13)
  })
})
