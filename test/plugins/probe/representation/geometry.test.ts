import { describe, expect, test } from "bun:test"
import { anisotropyOf, uniformityOf } from "../../../../plugins/probe/representation/geometry.ts"
import { equalCorrelation } from "../matrices.ts"
import { distance, dot, gaussian, gramOf, mean, norm, pairs } from "../vectors.ts"

describe("anisotropy and uniformity", () => {
  test.each([0, 0.3, 0.999, 1])("of unit vectors with pairwise cosine %p are that, and 4 cos − 4", (rho) => {
    const gram = equalCorrelation(12, rho)
    expect(anisotropyOf(gram, 12)).toBeCloseTo(rho, 12)
    expect(uniformityOf(gram, 12)).toBeCloseTo(4 * rho - 4, 12)
  })

  test("of an orthonormal basis and its negative are −1 / (N − 1), and a sum of two exponentials", () => {
    const d = 5
    const axes = Array.from({ length: 2 * d }, (_, n) =>
      Array.from({ length: d }, (_, h) => (h === n % d ? (n < d ? 1 : -1) : 0)),
    )
    const gram = gramOf(axes)
    expect(anisotropyOf(gram, 2 * d)).toBeCloseTo(-1 / (2 * d - 1), 12)
    // Of the 45 pairs, 5 are opposite and 40 orthogonal.
    expect(uniformityOf(gram, 2 * d)).toBeCloseTo(Math.log((5 * Math.exp(-8) + 40 * Math.exp(-4)) / 45), 12)
  })

  test("are those of the directions, whatever the lengths, computed from the vectors", () => {
    const drawn = gaussian(20, 7).map((vector, n) => vector.map((value) => (value + 1) * (1 + n)))
    const gram = gramOf(drawn)
    const cosines = pairs(drawn, (a, b) => dot(a, b) / (norm(a) * norm(b)))
    expect(anisotropyOf(gram, 20)).toBeCloseTo(mean(cosines), 12)
    const potentials = pairs(drawn, (a, b) => Math.exp(-2 * distance(a, b)))
    expect(uniformityOf(gram, 20)).toBeCloseTo(Math.log(mean(potentials)), 12)
  })

  test("of many directions without preference are near 0, and near −4 in many dimensions", () => {
    const n = 40
    const isotropic = gramOf(gaussian(n, 500))
    expect(Math.abs(anisotropyOf(isotropic, n)!)).toBeLessThan(0.005)
    expect(uniformityOf(isotropic, n)).toBeCloseTo(-4, 1)
    // A common offset as long as the rest has half of each length's square.
    const offset = gramOf(gaussian(n, 500).map((vector) => vector.map((value) => value + 1)))
    expect(anisotropyOf(offset, n)).toBeCloseTo(0.5, 2)
  })

  test("are undefined if a vector is zero", () => {
    const gram = gramOf([
      [1, 0],
      [0, 0],
    ])
    expect([anisotropyOf(gram, 2), uniformityOf(gram, 2)]).toEqual([null, null])
  })
})
