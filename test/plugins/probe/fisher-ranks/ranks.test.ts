import { describe, expect, test } from "bun:test"
import { normal, permutation, stream } from "../../../../core/tensor/stream.ts"
import type { FisherRow } from "../../../../plugins/probe/fisher.ts"
import { problemsOf, ranksOf, type Wanted } from "../../../../plugins/probe/fisher-ranks/ranks.ts"
import { effectiveRank } from "../../../../plugins/probe/shared/rank.ts"
import { eigenvalues } from "../../../../plugins/probe/shared/spectrum.ts"
import { matrixOf } from "../matrices.ts"

const samples = 6
const names = ["query.weight", "query.bias", "attentionNorm.weight", "intermediate.weight", "outputNorm.bias"]

/** Gradients of `size` numbers for each of six samples with `columns` columns, of unequal lengths. */
const gradients = (site: number, size: number, columns = samples) =>
  Array.from({ length: columns }, (_, n) =>
    normal({ stream: stream(1, "test"), site: 100 * site + n, iteration: 0 }, size).map((x) => x * 2 ** -n),
  )

const gramOf = (vectors: readonly Float32Array[]) =>
  matrixOf(vectors.length, (i, j) => vectors[i]!.reduce((sum, x, k) => sum + x * vectors[j]![k]!, 0))

const layers = [0, 1].map((layer) => names.map((_, at) => gradients(10 * layer + at + 1, 3)))

const rowOf = (layer: number, kept = true, step = 0): FisherRow => {
  const grams = layers[layer]!.map(gramOf)
  const gram = Float64Array.from(grams[0]!, (_, at) => grams.reduce((sum, part) => sum + part[at]!, 0))
  return {
    step,
    block: `layer.${layer}`,
    layer,
    samples,
    labels: "true",
    gram,
    trace: 1,
    erank: 1,
    normalised: 1,
    srank: 1,
    entropyRank: 1,
    selfCheck: null,
    tensors: kept ? names.join(" ") : null,
    tensorGrams: kept ? Float64Array.from(grams.flatMap((part) => [...part])) : null,
  }
}

/** The gradients of some tensors of a layer, one vector for each sample. */
const joined = (parts: readonly (readonly Float32Array[])[]) =>
  Array.from({ length: samples }, (_, n) => Float32Array.from(parts.flatMap((part) => [...part[n]!])))

const usual: Wanted = { thresholds: [0.99], subsets: 4, tensors: ["all"], stream: stream(0, "subsets") }
const rows = [rowOf(0), rowOf(1)]

/** The eigenvalues of the sum of gᵢgᵢᵀ itself, not of the Gram matrix. */
const ofOuterProducts = (vectors: readonly Float32Array[]) => {
  const d = vectors[0]!.length
  return eigenvalues(
    matrixOf(d, (a, b) => vectors.reduce((sum, g) => sum + g[a]! * g[b]!, 0)),
    d,
  )
}

describe("ranks from stored Gram matrices", () => {
  test.each([0.5, 0.9, 0.99, 0.999])("at %p are those of the Fisher itself", (threshold) => {
    const found = ranksOf(rows, { ...usual, thresholds: [threshold] })
    const erank = (block: string) => found.find((row) => row.block === block)!.erank
    const fishers = layers.map((parts) => ofOuterProducts(joined(parts)))
    const ranks = fishers.map((spectrum) => effectiveRank(spectrum, threshold))
    expect(erank("layer.0")).toBe(ranks[0]!)
    expect(erank("layer.1")).toBe(ranks[1]!)
    expect(erank("layers")).toBe((ranks[0]! + ranks[1]!) / 2)
    const full = ofOuterProducts(joined(layers.flat()))
    expect(erank("encoder")).toBe(effectiveRank(full, threshold))
    // The block-diagonal matrix itself, 30 x 30.
    const blocks = layers.map((parts) => joined(parts))
    const diagonal = eigenvalues(
      matrixOf(30, (a, b) =>
        Math.floor(a / 15) !== Math.floor(b / 15)
          ? 0
          : blocks[Math.floor(a / 15)]!.reduce((sum, g) => sum + g[a % 15]! * g[b % 15]!, 0),
      ),
      30,
    )
    expect(erank("block-diagonal")).toBe(effectiveRank(diagonal, threshold))
  })

  test("are divided by the largest that the samples allow", () => {
    for (const { block, erank, normalised, samples } of ranksOf(rows, { ...usual, samples: [3, 6] })) {
      expect(normalised).toBeCloseTo(erank / (block === "block-diagonal" ? 2 * samples : samples), 12)
    }
  })

  test("of fewer samples are means over the subsets that the stream draws", () => {
    const found = ranksOf(rows, { ...usual, samples: [3] })
    const ranks = Array.from({ length: 4 }, (_, draw) => {
      const chosen = permutation(usual.stream, samples, draw).subarray(0, 3)
      const all = joined(layers[0]!)
      return effectiveRank(ofOuterProducts(Array.from(chosen, (n) => all[n]!)), 0.99)
    })
    expect(found[0]!.erank).toBeCloseTo(ranks.reduce((sum, x) => sum + x, 0) / 4, 12)
    expect(ranksOf(rows, { ...usual, samples: [6] })).toEqual(ranksOf(rows, usual))
  })

  test.each([
    ["attention", [0, 1]],
    ["feed-forward", [3]],
    ["layer-norm", [2, 4]],
    ["weights", [0, 3]],
    ["biases", [1, 4]],
  ] as const)("of %s are those of these tensors", (group, at) => {
    const found = ranksOf(rows, { ...usual, tensors: [group] })
    for (const [layer, parts] of layers.entries()) {
      const spectrum = ofOuterProducts(joined(at.map((index) => parts[index]!)))
      expect(found[layer]).toMatchObject({ tensors: group, erank: effectiveRank(spectrum, 0.99) })
    }
  })

  test("keep the columns of a sample together", () => {
    // Two columns for each of three samples: with two samples, four columns.
    const twice = { ...rowOf(0, false), samples: 3 }
    const found = ranksOf([twice], { ...usual, subsets: 1, samples: [2], thresholds: [0.9999999] })
    const chosen = permutation(usual.stream, 3, 0).subarray(0, 2).toSorted()
    const columns = [...chosen].flatMap((n) => [2 * n, 2 * n + 1])
    const all = joined(layers[0]!)
    const spectrum = ofOuterProducts(columns.map((n) => all[n]!))
    expect(found[0]).toMatchObject({ erank: effectiveRank(spectrum, 0.9999999) })
    expect(found[0]!.normalised).toBe(found[0]!.erank / 4)
  })

  test("are given step by step", () => {
    const found = ranksOf([...rows, rowOf(0, true, 7), rowOf(1, true, 7)], usual)
    expect(found.map(({ step }) => step)).toEqual([0, 0, 0, 0, 0, 7, 7, 7, 7, 7])
  })

  test("need enough samples, layers, and tensors where they are asked for", () => {
    expect(problemsOf([], usual)).toEqual(["expected Gram matrices of layers, found none"])
    expect(problemsOf(rows, { ...usual, samples: [7] })).toEqual([
      "samples: must be at most 6, the number observed (was 7)",
    ])
    expect(problemsOf([rowOf(0, false)], { ...usual, tensors: ["biases"] })).toEqual([
      'tensors: biases need Gram matrices by tensor; give fisher the option grams: "tensors"',
    ])
    expect(problemsOf(rows, { ...usual, samples: [1, 6], tensors: ["biases"] })).toEqual([])
  })
})
