import { describe, expect, test } from "bun:test"
import { normal, stream } from "../../../../core/tensor/stream.ts"
import {
  absoluteTraceOf,
  densityOf,
  type Estimated,
  effectiveRankOf,
  negativeShareOf,
  traceOf,
} from "../../../../plugins/probe/hessian/density.ts"
import { lanczos, ritzVectors } from "../../../../plugins/probe/hessian/lanczos.ts"

const draw =
  (size: number, seed = 1) =>
  (v: number) =>
    Float64Array.from(normal({ stream: stream(seed, "test"), site: v, iteration: 0 }, size))

/** A dense symmetric matrix with these eigenvalues: a diagonal one between two reflections. */
const rotated = (eigenvalues: readonly number[]) => {
  const size = eigenvalues.length
  const mirrors = [draw(size, 7)(0), draw(size, 7)(1), draw(size, 7)(2)]
  const reflect = (x: Float64Array, across: Float64Array) => {
    const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, y, i) => sum + y * b[i]!, 0)
    const scale = (2 * dot(x, across)) / dot(across, across)
    return x.map((y, i) => y - scale * across[i]!)
  }
  return (x: Float64Array) =>
    mirrors.toReversed().reduce(
      reflect,
      mirrors.reduce(reflect, x).map((y, i) => y * eigenvalues[i]!),
    )
}

const exactRank = (eigenvalues: readonly number[], threshold: number) => {
  const sizes = eigenvalues.map(Math.abs).toSorted((a, b) => b - a)
  const total = sizes.reduce((sum, x) => sum + x, 0)
  let sum = 0
  const last = sizes.findIndex((x) => {
    sum += x
    return sum / total > threshold
  })
  return last + 1
}

const holds = ({ value, standardError, change }: Estimated, expected: number, slack = 0) => {
  expect(Math.abs(value - expected)).toBeLessThanOrEqual(4 * standardError! + change + slack)
}

describe("Lanczos's algorithm", () => {
  const eigenvalues = [5, -4, 3, 2.5, 1, 0.5, 0.1, -0.05, 0.01, 0]
  test("finds all eigenvalues of a small matrix, with its eigenvectors", () => {
    const operator = rotated(eigenvalues)
    const krylov = lanczos(operator, draw(10)(0), 50)
    expect(krylov.asymmetry).toBeLessThan(1e-6)
    const found = krylov.pairs.map(({ value }) => value).toSorted((a, b) => b - a)
    expect(found).toHaveLength(10)
    for (const [at, expected] of eigenvalues.toSorted((a, b) => b - a).entries()) {
      expect(found[at]).toBeCloseTo(expected, 5)
    }
    const vectors = ritzVectors(krylov, krylov.pairs)
    for (const [at, { value }] of krylov.pairs.entries()) {
      const product = operator(Float64Array.from(vectors[at]!))
      for (const [i, x] of product.entries()) expect(x).toBeCloseTo(value * vectors[at]![i]!, 5)
    }
    expect(krylov.pairs.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 12)
  })

  test("says how good a Ritz value is, and how asymmetric the operator", () => {
    const operator = rotated(Array.from({ length: 200 }, (_, i) => 0.9 ** i))
    const { pairs } = lanczos(operator, draw(200)(0), 20)
    for (const { value, residual } of pairs) {
      const nearest = Math.min(...Array.from({ length: 200 }, (_, i) => Math.abs(0.9 ** i - value)))
      expect(nearest).toBeLessThanOrEqual(residual + 1e-6)
    }
    const skewed = (x: Float64Array) => operator(x).map((y, i) => y + (i === 0 ? x[5]! : 0))
    expect(lanczos(skewed, draw(200)(0), 20).asymmetry).toBeGreaterThan(1e-3)
  })

  test("stays out of given directions", () => {
    const krylov = lanczos(rotated(eigenvalues), draw(10)(0), 50)
    const largest = krylov.pairs.filter(({ value }) => Math.abs(value) > 2)
    const rest = lanczos(rotated(eigenvalues), draw(10)(1), 50, ritzVectors(krylov, largest))
    const found = rest.pairs.map(({ value }) => value).toSorted((a, b) => b - a)
    for (const [at, expected] of [1, 0.5, 0.1, 0.01, 0, -0.05].entries()) {
      expect(found[at]).toBeCloseTo(expected, 5)
    }
  })
})

describe("the spectral density", () => {
  test("of a small matrix is exact", () => {
    const eigenvalues = [5, -4, 3, 2.5, 1, 0.5, 0.1, -0.05, 0.02, 0.01]
    const density = densityOf(rotated(eigenvalues), 10, { iterations: 30, vectors: 2, draw: draw(10) })
    expect(traceOf(density).value).toBeCloseTo(8.08, 5)
    expect(absoluteTraceOf(density).value).toBeCloseTo(16.18, 5)
    expect(negativeShareOf(density).value).toBeCloseTo(4.05 / 16.18, 6)
    for (const threshold of [0.5, 0.9, 0.99, 0.999]) {
      expect(effectiveRankOf(density, threshold).value).toBe(exactRank(eigenvalues, threshold))
    }
  })

  test("counts eigenvalues that are equal", () => {
    const eigenvalues = [...Array(30).fill(1), ...Array(170).fill(0)]
    const density = densityOf(rotated(eigenvalues), 200, { iterations: 10, vectors: 8, draw: draw(200) })
    holds(traceOf(density), 30)
    holds(effectiveRankOf(density, 0.99), 30, 1)
  })

  const spectra: Record<string, readonly number[]> = {
    "that falls exponentially": Array.from({ length: 400 }, (_, i) => (i % 3 === 0 ? -1 : 1) * 0.97 ** i),
    "of few outliers over a bulk": Array.from({ length: 400 }, (_, i) =>
      i < 12 ? 10 + i : 0.02 * Math.cos((i * Math.PI) / 400),
    ),
    "that falls as a power": Array.from({ length: 400 }, (_, i) => 1 / (1 + i)),
  }
  describe.each(Object.entries(spectra))("of a spectrum %s", (_, eigenvalues) => {
    const density = densityOf(rotated(eigenvalues), 400, { iterations: 40, vectors: 8, draw: draw(400) })
    const sum = (each: (x: number) => number) => eigenvalues.reduce((total, x) => total + each(x), 0)
    test("gives traces and negative share within its error", () => {
      holds(
        traceOf(density),
        sum((x) => x),
      )
      holds(absoluteTraceOf(density), sum(Math.abs))
      const negative = sum((x) => Math.max(0, -x)) / sum(Math.abs)
      holds(negativeShareOf(density), negative, 0.001)
      expect(absoluteTraceOf(density).standardError! / sum(Math.abs)).toBeLessThan(0.05)
    })
    test.each([0.5, 0.9, 0.99])("gives the effective rank at %p within its error", (threshold) => {
      const rank = effectiveRankOf(density, threshold)
      holds(rank, exactRank(eigenvalues, threshold), 1)
      expect(rank.standardError!).toBeLessThan(0.15 * rank.value)
    })
  })

  test("has no standard error from one vector, and ranks of 0 where all is zero", () => {
    const eigenvalues = spectra["that falls as a power"]!
    const one = densityOf(rotated(eigenvalues), 400, { iterations: 10, vectors: 1, draw: draw(400) })
    expect(effectiveRankOf(one, 0.9).standardError).toBeNull()
    const zero = densityOf((x) => x.map(() => 0), 50, { iterations: 10, vectors: 2, draw: draw(50) })
    expect(effectiveRankOf(zero, 0.99)).toEqual({ value: 0, standardError: 0, change: 0 })
    expect(traceOf(zero).value).toBe(0)
  })
})
