import { describe, expect, test } from "bun:test"
import { noiseOf } from "../../../../plugins/probe/gradient-noise/noise.ts"
import { equalCorrelation } from "../matrices.ts"
import { centredVectors, dot, gaussian, gramOf, mean } from "../vectors.ts"

describe("noise", () => {
  test("of unit gradients with pairwise cosine ρ is 1 − ρ, around a gradient of square ρ", () => {
    const { trace, square } = noiseOf(equalCorrelation(16, 0.3), 16)
    expect(trace).toBeCloseTo(0.7, 12)
    expect(square).toBeCloseTo(0.3, 12)
  })

  test("is the sample variance of the components, and the mean's square less its own variance", () => {
    const gradients = gaussian(9, 5).map((vector) => vector.map((value) => value + 1))
    const { trace, square } = noiseOf(gramOf(gradients), 9)
    const deviations = centredVectors(gradients).map((vector) => dot(vector, vector))
    const variance = deviations.reduce((sum, value) => sum + value, 0) / 8
    const middle = gradients[0]!.map((_, h) => mean(gradients.map((vector) => vector[h]!)))
    expect(trace).toBeCloseTo(variance, 12)
    expect(square).toBeCloseTo(dot(middle, middle) - variance / 9, 12)
  })

  test("is that of McCandlish et al., from batches of 1 and N", () => {
    const n = 7
    const gram = gramOf(gaussian(n, 4, 3).map((vector) => vector.map((value) => value + 0.5)))
    const small = mean(Array.from({ length: n }, (_, i) => gram[i * n + i]!))
    const big = gram.reduce((sum, entry) => sum + entry, 0) / n ** 2
    const { trace, square } = noiseOf(gram, n)
    expect(square).toBeCloseTo((n * big - small) / (n - 1), 12)
    expect(trace).toBeCloseTo((small - big) / (1 - 1 / n), 12)
  })

  test("is unbiased: over many draws the truth, however few the samples", () => {
    const draws = Array.from({ length: 3000 }, (_, seed) =>
      noiseOf(gramOf(gaussian(3, 4, seed).map((vector) => vector.map((value) => 2 * value + 0.5))), 3),
    )
    // Variance 4 and mean ½ in each of 4 components.
    expect(Math.abs(mean(draws.map(({ trace }) => trace)) - 16)).toBeLessThan(0.5)
    expect(Math.abs(mean(draws.map(({ square }) => square)) - 1)).toBeLessThan(0.4)
  })
})
