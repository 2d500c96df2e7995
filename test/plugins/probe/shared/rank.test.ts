import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { effectiveRank, entropyRank, spectralRank } from "../../../../plugins/probe/shared/rank.ts"
import { eigenvalues } from "../../../../plugins/probe/shared/spectrum.ts"
import { equalCorrelation } from "../matrices.ts"

const path = new URL("../../../fixtures/bert-2x32/expected.json", import.meta.url)
interface Figures {
  readonly gram: readonly (readonly number[])[]
  readonly eigenvalues: readonly number[]
  readonly erank99: number
  readonly srank99: number
  readonly entropy_rank: number
}
const { sum_normalised: _, ...blocks } = JSON.parse(readFileSync(path, "utf8")).fisher as Record<
  string,
  Figures
>

describe("effective rank", () => {
  test.each([
    [0, 16],
    [0.5, 16],
    [0.8399, 16],
    [0.8401, 15],
    [0.9, 15],
    [0.985, 6],
    [0.9999, 1],
  ])("of 16 gradients with pairwise cosine %p is %p", (rho, expected) => {
    // The last of the 16 eigenvalues has (1 − ρ)/16 of the trace, so it is not needed once ρ > 0.84.
    expect(effectiveRank(eigenvalues(equalCorrelation(16, rho), 16), 0.99)).toBe(expected)
  })

  test("must exceed the threshold, srank only reach it", () => {
    const flat = new Float64Array(100).fill(3)
    expect(effectiveRank(flat, 0.99)).toBe(100)
    expect(spectralRank(flat, 0.99)).toBe(99)
    expect(effectiveRank(flat, 0.985)).toBe(99)
  })

  test("is computed from eigenvalues, srank from their square roots", () => {
    const spectrum = Float64Array.of(10_000, 1, 1, 1)
    expect(effectiveRank(spectrum, 0.99)).toBe(1)
    expect(spectralRank(spectrum, 0.99)).toBe(3)
  })

  test("is the number of eigenvalues if no fraction reaches the threshold", () => {
    expect(effectiveRank(Float64Array.of(1, 1, 1), 1)).toBe(3)
    expect(spectralRank(Float64Array.of(1, 1, 1), 2)).toBe(3)
  })
})

describe("entropy rank", () => {
  test("counts equal eigenvalues", () => {
    for (const n of [1, 2, 16]) expect(entropyRank(new Float64Array(n).fill(0.2))).toBeCloseTo(n, 12)
    expect(entropyRank(Float64Array.of(4, 4, 0, 0))).toBeCloseTo(2, 12)
  })

  test("is exp of the entropy of the square roots divided by their sum", () => {
    const expected = 4 ** (1 / 4) * (4 / 3) ** (3 / 4)
    expect(entropyRank(Float64Array.of(9, 1))).toBeCloseTo(expected, 12)
  })
})

test("all ranks of the zero matrix are 0", () => {
  const zeros = new Float64Array(4)
  expect([effectiveRank(zeros, 0.99), spectralRank(zeros, 0.99), entropyRank(zeros)]).toEqual([0, 0, 0])
})

describe.each(Object.entries(blocks))("the reference's %s", (_, figures) => {
  const n = figures.gram.length
  const gram = Float64Array.from(figures.gram.flat())

  test("has the reference's eigenvalues and ranks", () => {
    const spectrum = eigenvalues(gram, n)
    for (const [i, value] of figures.eigenvalues.entries()) {
      expect(Math.abs(spectrum[i]! - value)).toBeLessThan(1e-12 * figures.eigenvalues[0]!)
    }
    expect(effectiveRank(spectrum, 0.99)).toBe(figures.erank99)
    expect(spectralRank(spectrum, 0.99)).toBe(figures.srank99)
    expect(entropyRank(spectrum)).toBeCloseTo(figures.entropy_rank, 6)
  })

  test("does not depend on the signs of the gradients", () => {
    const sign = (i: number) => ((i * 5) % 3 === 1 ? -1 : 1)
    const flipped = gram.map((entry, at) => sign(Math.floor(at / n)) * sign(at % n) * entry)
    const spectrum = eigenvalues(gram, n)
    const found = eigenvalues(flipped, n)
    for (const [i, value] of spectrum.entries()) {
      expect(Math.abs(found[i]! - value)).toBeLessThan(1e-14 * spectrum[0]!)
    }
    expect(effectiveRank(found, 0.99)).toBe(figures.erank99)
  })
})
