import { beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { startBackend } from "../../../../../core/tensor/backend.ts"
import { stream, uniform } from "../../../../../core/tensor/stream.ts"
import { wasm } from "../../../../../plugins/backend/wasm.ts"
import { encode, type TrainableModel } from "../../../../../plugins/model/encoder.ts"
import { classify, clsIndices } from "../../../../../plugins/model/output-heads.ts"
import { selfCheck } from "../../../../../plugins/probe/fisher/self-check.ts"
import { blockGrams, parameterGrams } from "../../../../../plugins/probe/shared/gram/block-grams.ts"
import {
  columnsFor,
  countOf,
  type Directed,
  type LabelSource,
  multinomialFactor,
} from "../../../../../plugins/probe/shared/gram/columns.ts"
import type { Labelled } from "../../../../../plugins/probe/shared/likelihood.ts"
import { eigenvalues } from "../../../../../plugins/probe/shared/spectrum.ts"
import { expectedCurvature, fixtureBatch, fixtureModel, layersOf } from "../../fixture-curvature.ts"

beforeAll(() => Effect.runPromise(startBackend(wasm)))

const logitsOf =
  (model: TrainableModel) =>
  (sequences: Labelled["sequences"]): tf.Tensor2D =>
    tf.tidy(() => classify(model, encode(model, sequences, { indices: clsIndices(sequences.offsets) })))

const columnsOf = (model: TrainableModel, source: LabelSource, seed = 1) =>
  columnsFor(source, fixtureBatch, logitsOf(model), stream(seed, "probe"))

/** Logits that do not depend on the sequences, [N, C]. */
const fixed = (logits: readonly (readonly number[])[]) => () => tf.tensor2d(logits as number[][])

describe("the factor of a multinomial covariance", () => {
  test.each([[[0.25, 0.75]], [[0.1, 0.2, 0.3, 0.4]], [[1, 0, 0]], [[0, 0.5, 0.5]], [[0.5, 0.5, 0]]])(
    "%p: B Bᵀ = diag(p) − p pᵀ",
    (p) => {
      const columns = multinomialFactor(Float32Array.from(p))
      expect(columns).toHaveLength(p.length - 1)
      for (const [i, a] of p.entries()) {
        for (const [j, b] of p.entries()) {
          const found = columns.reduce((sum, column) => sum + column[i]! * column[j]!, 0)
          expect(found).toBeCloseTo((i === j ? a : 0) - a * b, 7)
        }
      }
    },
  )
})

describe("the Fisher in expectation over labels", () => {
  test("is that of PyTorch in float64, from all N · C gradients", async () => {
    const model = await fixtureModel()
    const columns = columnsOf(model, "expected")
    // Three classes: two columns for each of five samples.
    expect(countOf(columns)).toBe(10)
    const layers = layersOf(model)
    const grams = blockGrams(layers, parameterGrams(model, layers, columns))
    for (const [block, gram] of grams) {
      const { expectedFisher } = expectedCurvature[block]!
      for (const [at, found] of eigenvalues(gram, 10).entries()) {
        expect(Math.abs(found / 5 - expectedFisher[at]!) / expectedFisher[0]!).toBeLessThan(1e-6)
      }
    }
    const checked = selfCheck({ ...model, logits: logitsOf(model) }, layers, columns)
    for (const deviation of checked.values()) expect(deviation).toBeLessThan(1e-5)
    model.parameters.dispose()
  })

  test("of two classes has one column for each sample, √(p₀p₁) (1, −1)", () => {
    const two = { ...fixtureBatch, labels: Int32Array.of(0, 1, 0, 1, 1) }
    const logits = [1, 2, 3, 4, 5].map((x) => [x, 0])
    const columns = columnsFor("expected", two, fixed(logits), stream(1, "probe")) as Directed
    for (const [n, [x = 0]] of logits.entries()) {
      const p = 1 / (1 + Math.exp(-x))
      expect(columns.directions[2 * n]!).toBeCloseTo(Math.sqrt(p * (1 - p)), 6)
      expect(columns.directions[2 * n + 1]!).toBeCloseTo(-Math.sqrt(p * (1 - p)), 6)
    }
  })

  test("of scores has the derivative of each", () => {
    const scores = { ...fixtureBatch, labels: Float32Array.of(0, 1, 2, 3, 4) }
    const columns = columnsFor("expected", scores, fixed([[1], [2], [3], [4], [5]]), stream(1, "probe"))
    expect([...(columns as Directed).directions]).toEqual([1, 1, 1, 1, 1])
  })
})

describe("sampled labels", () => {
  const logits = [
    [0, 0, 0],
    [9, 0, 0],
    [0, 9, 0],
    [0, 1, 0],
    [0, 0, 9],
  ]
  const drawn = (seed: number) =>
    (columnsFor("sampled", fixtureBatch, fixed(logits), stream(seed, "probe")) as Labelled).labels

  test("have the model's probabilities over seeds", () => {
    const counts = logits.map(() => [0, 0, 0])
    const seeds = 400
    for (let seed = 0; seed < seeds; seed++) {
      for (const [n, label] of drawn(seed).entries()) counts[n]![label]!++
    }
    for (const [n, row] of logits.entries()) {
      const total = row.reduce((sum, x) => sum + Math.exp(x), 0)
      for (const [label, x] of row.entries()) {
        const p = Math.exp(x) / total
        const deviation = Math.abs(counts[n]![label]! / seeds - p)
        expect(deviation).toBeLessThan(4.5 * Math.sqrt((p * (1 - p)) / seeds) + 1e-3)
      }
    }
  })

  test("are those at which a fixed random number falls", () => {
    const chances = uniform({ stream: stream(3, "probe"), site: 1, iteration: 0 }, 5)
    expect(drawn(3)[0]).toBe(Math.floor(3 * chances[0]!))
  })

  test("of scores are normal around them", () => {
    const scores = { ...fixtureBatch, labels: new Float32Array(5) }
    const noise = (mean: number) =>
      (
        columnsFor("sampled", scores, fixed(Array(5).fill([mean])), stream(1, "probe")) as Labelled
      ).labels.map((label) => label - mean)
    for (const [n, x] of noise(2).entries()) expect(x).toBeCloseTo(noise(0)[n]!, 6)
    expect(new Set(noise(0)).size).toBe(5)
  })
})
