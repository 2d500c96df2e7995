import { describe, expect, test } from "bun:test"
import { configOf } from "../../../plugins/model/config.ts"
import { forwardFlops, trainingFlops, type Workload } from "../../../plugins/model/cost.ts"
import { blocksOf, countParameters, outputHeads, parametersOf } from "../../../plugins/model/parameters.ts"

const large = configOf("large", 30522, 0)

describe("BERT-large", () => {
  const specs = parametersOf(large, ["pooler", "classifier"])
  const count = (block: (name: string) => boolean) =>
    countParameters(specs.filter((spec) => block(spec.block)))

  test("has the published numbers of parameters", () => {
    expect(count((block) => block === "layer.0")).toBe(12_596_224)
    expect(count((block) => block.startsWith("layer."))).toBe(302_309_376)
    expect(count((block) => block === "embeddings")).toBe(31_782_912)
    expect(countParameters(parametersOf(large, ["pooler"]))).toBe(335_141_888)
    expect(count((block) => block === "classifier")).toBe(2_050)
  })

  test("has 16 tensors a layer", () => {
    const blocks = blocksOf(specs)
    expect([...blocks.keys()]).toEqual([
      "embeddings",
      ...Array.from({ length: 24 }, (_, layer) => `layer.${layer}`),
      "pooler",
      "classifier",
    ])
    for (let layer = 0; layer < 24; layer++) expect(blocks.get(`layer.${layer}`)).toHaveLength(16)
    expect(blocks.get("layer.10")?.every((name) => name.startsWith("bert.encoder.layer.10."))).toBe(true)
  })

  test("adds h² + 4h + V parameters for the masked language model, whose decoder is tied", () => {
    const with_ = countParameters(parametersOf(large, outputHeads))
    expect(with_ - countParameters(specs)).toBe(1024 ** 2 + 3 * 1024 + 30522)
  })
})

test("no two parameters have the same name", () => {
  const names = parametersOf(configOf("base", 30522, 0), outputHeads).map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
})

describe("flops", () => {
  const workloadOf = (lengths: readonly number[]): Workload => ({
    sequences: lengths.length,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    attended: lengths.reduce((sum, length) => sum + length ** 2, 0),
    predictions: 0,
  })

  test("are those of the matrix products of a layer on one sequence, listed one by one", () => {
    const sizes = { layers: 1, hidden: 6, intermediate: 10, vocabularySize: 50 }
    const products = [
      ...Array.from({ length: 4 }, () => [5, 6, 6]),
      [5, 6, 10],
      [5, 10, 6],
      // Scores and contexts of two attention heads of three features.
      [5, 3, 5],
      [5, 3, 5],
      [5, 5, 3],
      [5, 5, 3],
    ]
    const expected = products.reduce((sum, [m, k, n]) => sum + 2 * m! * k! * n!, 0)
    expect(forwardFlops(sizes, [], workloadOf([5]))).toBe(expected)
  })

  test("add up over sequences, layers and output heads", () => {
    const sizes = { layers: 3, hidden: 6, intermediate: 10, vocabularySize: 50 }
    const one = (length: number) => forwardFlops(sizes, ["pooler"], workloadOf([length]))
    expect(forwardFlops(sizes, ["pooler"], workloadOf([5, 9]))).toBe(one(5) + one(9))
    expect(forwardFlops(sizes, [], workloadOf([5]))).toBe(
      3 * forwardFlops({ ...sizes, layers: 1 }, [], workloadOf([5])),
    )
    const predicting = { ...workloadOf([5]), predictions: 2 }
    // Two of five tokens have queries: two products of five rows, two of two, two feed-forward ones, and 2 x 5 pairs.
    const lastLayer = 2 * (2 * 5 * 36 + 2 * 2 * 36 + 2 * 2 * 60 + 2 * 10 * 6)
    const head = 2 * (2 * 6 * 6 + 2 * 6 * 50)
    expect(forwardFlops(sizes, ["maskedLanguageModel"], predicting)).toBe(
      2 * forwardFlops({ ...sizes, layers: 1 }, [], predicting) + lastLayer + head,
    )
    expect(trainingFlops(sizes, [], predicting)).toBe(3 * forwardFlops(sizes, [], predicting))
  })
})
