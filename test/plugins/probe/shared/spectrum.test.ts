import { describe, expect, test } from "bun:test"
import { normal, stream } from "../../../../core/tensor/stream.ts"
import { eigenvalues } from "../../../../plugins/probe/shared/spectrum.ts"
import { equalCorrelation, matrixOf } from "../matrices.ts"

/** The largest deviation, as a fraction of the largest eigenvalue. */
const deviation = (found: Float64Array, expected: ArrayLike<number>): number =>
  Math.max(...found.map((value, i) => Math.abs(value - expected[i]!))) / Math.abs(expected[0]!)

describe("eigenvalues", () => {
  test.each([
    [16, 0],
    [16, 0.3],
    [16, 0.84],
    [16, 0.999999],
    [7, 1],
  ])("of %p gradients with equal norms and pairwise cosine %p", (n, rho) => {
    const expected = [1 + (n - 1) * rho, ...Array<number>(n - 1).fill(1 - rho)]
    expect(deviation(eigenvalues(equalCorrelation(n, rho), n), expected)).toBeLessThan(1e-14)
  })

  test("of the second difference matrix are 2 − 2 cos(kπ/(n+1))", () => {
    const n = 100
    const matrix = matrixOf(n, (i, j) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0))
    const expected = Array.from({ length: n }, (_, k) => 2 - 2 * Math.cos(((n - k) * Math.PI) / (n + 1)))
    expect(deviation(eigenvalues(matrix, n), expected)).toBeLessThan(1e-13)
  })

  test("of the Hilbert matrix of order 5, whose condition number is half a million", () => {
    // As published, to all their digits (Fettis and Caslin 1967).
    const expected = [
      1.567050691098231, 0.208534218611013, 0.01140749162342, 3.0589804015119e-4, 3.287928772172e-6,
    ]
    const found = eigenvalues(
      matrixOf(5, (i, j) => 1 / (i + j + 1)),
      5,
    )
    expect(deviation(found, expected)).toBeLessThan(1e-15)
    expect(found[4]! / expected[4]!).toBeCloseTo(1, 9)
  })

  test("of a matrix that is singular to working precision keep the trace and are not negative", () => {
    const n = 24
    const hilbert = matrixOf(n, (i, j) => 1 / (i + j + 1))
    const found = eigenvalues(hilbert, n)
    const trace = Array.from({ length: n }, (_, i) => 1 / (2 * i + 1)).reduce((sum, x) => sum + x, 0)
    expect(found.reduce((sum, x) => sum + x, 0)).toBeCloseTo(trace, 13)
    const squares = hilbert.reduce((sum, x) => sum + x * x, 0)
    expect(found.reduce((sum, x) => sum + x * x, 0)).toBeCloseTo(squares, 13)
    expect(found.every((value) => value >= 0)).toBe(true)
    expect([...found]).toEqual([...found].sort((a, b) => b - a))
  })

  test.each([64, 256])("of Q D Qᵀ of order %p are D, over ten orders of magnitude", (n) => {
    const expected = Float64Array.from({ length: n }, (_, k) => 10 ** ((-10 * k) / n))
    // Two reflections I − 2 v vᵀ make a matrix without any structure.
    let matrix = matrixOf(n, (i, j) => (i === j ? expected[(i * 37) % n]! : 0))
    for (const site of [0, 1]) {
      const v = normal({ stream: stream(3, "test"), site, iteration: 0 }, n)
      const squares = v.reduce((sum, x) => sum + x * x, 0)
      const av = Float64Array.from({ length: n }, (_, i) =>
        v.reduce((sum, x, j) => sum + matrix[i * n + j]! * x, 0),
      )
      const vav = v.reduce((sum, x, i) => sum + x * av[i]!, 0)
      const previous = matrix
      matrix = matrixOf(
        n,
        (i, j) =>
          previous[i * n + j]! -
          (2 / squares) * (v[i]! * av[j]! + av[i]! * v[j]!) +
          (4 / squares ** 2) * vav * v[i]! * v[j]!,
      )
    }
    expect(deviation(eigenvalues(matrix, n), expected)).toBeLessThan(1e-13)
  })

  test("of a matrix of rank one are its trace and zeros", () => {
    const v = [3, -1, 4, 1, -5]
    const found = eigenvalues(
      matrixOf(5, (i, j) => v[i]! * v[j]!),
      5,
    )
    expect(deviation(found, [52, 0, 0, 0, 0])).toBeLessThan(1e-15)
  })

  test("below zero, which come from rounding, become 0", () => {
    expect([...eigenvalues(Float64Array.of(1, 1 + 1e-12, 1 + 1e-12, 1), 2)][1]).toBe(0)
    expect([...eigenvalues(Float64Array.of(-1e-20), 1)]).toEqual([0])
  })

  test("scale with the matrix, to the ends of what float32 gradients can give", () => {
    const matrix = matrixOf(6, (i, j) => 1 / (i + j + 1))
    const expected = eigenvalues(matrix, 6)
    for (const scale of [2 ** -500, 2 ** 500]) {
      const found = eigenvalues(
        matrix.map((entry) => entry * scale),
        6,
      )
      expect(found).toEqual(expected.map((value) => value * scale))
    }
  })

  test("of a zero matrix, of one entry, and of an empty matrix", () => {
    expect([...eigenvalues(new Float64Array(9), 3)]).toEqual([0, 0, 0])
    expect([...eigenvalues(Float64Array.of(7), 1)]).toEqual([7])
    expect([...eigenvalues(new Float64Array(0), 0)]).toEqual([])
  })

  test("follow from the upper triangle alone, and do not change the matrix", () => {
    const matrix = Float64Array.of(2, 1, 99, 2)
    expect(deviation(eigenvalues(matrix, 2), [3, 1])).toBeLessThan(1e-15)
    expect([...matrix]).toEqual([2, 1, 99, 2])
  })

  test("are refused for the wrong size, and for entries that are not finite", () => {
    expect(() => eigenvalues(new Float64Array(8), 3)).toThrow("expected a matrix of 3 x 3, found 8 entries")
    for (const entry of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => eigenvalues(Float64Array.of(1, entry, entry, 1), 2)).toThrow("not finite")
    }
  })
})
