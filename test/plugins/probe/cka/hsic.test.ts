import { describe, expect, test } from "bun:test"
import { ckaOf, unbiasedHsic } from "../../../../plugins/probe/cka/hsic.ts"
import { gaussian, gramOf, mean, type Vectors } from "../vectors.ts"

/** HSIC₁ as the U-statistic that it is: its kernel's mean over all ordered quadruples of different examples. */
const byDefinition = (k: Float64Array, l: Float64Array, n: number): number => {
  const values: number[] = []
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      for (let q = 0; q < n; q++) {
        for (let r = 0; r < n; r++) {
          if (new Set([i, j, q, r]).size < 4) continue
          values.push(k[i * n + j]! * (l[i * n + j]! + l[q * n + r]! - 2 * l[i * n + q]!))
        }
      }
    }
  }
  return mean(values)
}

/** x turned by a reflection, scaled and moved. */
const likened = (vectors: Vectors): Vectors =>
  vectors.map((vector) => {
    const along = (2 * vector.reduce((sum, value) => sum + value, 0)) / vector.length
    return vector.map((value, h) => 5 + 3 * (value - along) + h)
  })

describe("HSIC", () => {
  test("is the U-statistic of its definition", () => {
    const [k, l] = [gramOf(gaussian(7, 3, 1)), gramOf(gaussian(7, 4, 2))]
    expect(unbiasedHsic(k, l, 7)).toBeCloseTo(byDefinition(k, l, 7), 12)
  })
})

describe("CKA", () => {
  test("is 1 after rotation, scaling and a shift", () => {
    const x = gaussian(20, 6)
    expect(ckaOf(gramOf(x), gramOf(likened(x)), 20)).toBeCloseTo(1, 10)
  })

  test("of independent representations is 0 on average, however few the examples", () => {
    // The biased estimate would be near 0.9: there are more dimensions than examples.
    const values = Array.from({ length: 60 }, (_, draw) => {
      const [x, y] = [gaussian(10, 30, 2 * draw), gaussian(10, 30, 2 * draw + 1)]
      return ckaOf(gramOf(x), gramOf(y), 10)!
    })
    expect(Math.abs(mean(values))).toBeLessThan(0.05)
  })

  test("of a part of what both share is in between", () => {
    const x = gaussian(200, 2)
    const half = x.map(([a], n) => [a!, gaussian(200, 1, 9)[n]![0]!])
    // tr(CᵀC) of the covariances C: 1 of √2 · √2.
    expect(ckaOf(gramOf(x), gramOf(half), 200)).toBeCloseTo(0.5, 1)
  })

  test("is undefined if the representations do not differ", () => {
    const x = gaussian(8, 3)
    const same = x.map(() => [0.1, 0.7, 300])
    expect(ckaOf(gramOf(x), gramOf(same), 8)).toBeNull()
    expect(ckaOf(gramOf(same), gramOf(x), 8)).toBeNull()
    // By the last bit of a float32 only.
    const nearly = same.map((vector, n) => [...vector.slice(0, 2), 300 + (n % 2) * 2 ** -15])
    expect(ckaOf(gramOf(nearly), gramOf(x), 8)).toBeNull()
    const little = same.map((vector, n) => [...vector.slice(0, 2), 300 + n / 100])
    expect(ckaOf(gramOf(little), gramOf(little), 8)).toBeCloseTo(1, 6)
  })
})
