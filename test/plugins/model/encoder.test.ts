import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { packSequences, type Sequences, selectSequences } from "../../../core/artifacts/sequences.ts"
import { hostKernels } from "../../../core/tensor/host/kernels.ts"
import { implement, registerKernels } from "../../../core/tensor/kernel.ts"
import { attentionKernel } from "../../../core/tensor/ops/attention.ts"
import { dropoutKernel } from "../../../core/tensor/ops/dropout.ts"
import { residualNormKernel } from "../../../core/tensor/ops/layer-norm.ts"
import { softmaxCrossEntropy } from "../../../core/tensor/ops/softmax-cross-entropy.ts"
import { disposeGradients, valueAndGradients } from "../../../core/tensor/parameters.ts"
import { type Dropout, stream } from "../../../core/tensor/stream.ts"
import { backwardThroughTap } from "../../../core/tensor/tap.ts"
import { configOf } from "../../../plugins/model/config.ts"
import {
  dropoutSite,
  type EncoderModel,
  encode,
  type ModelDropout,
  type TrainableModel,
} from "../../../plugins/model/encoder.ts"
import { classify, clsIndices, pool, predictTokens } from "../../../plugins/model/output-heads.ts"
import { parametersOf } from "../../../plugins/model/parameters.ts"
import { onCpu, tinyConfig, tinyModel } from "./tiny-model.ts"

beforeAll(onCpu)

let model: TrainableModel
let before: number
beforeEach(() => {
  before = tf.memory().numTensors
  model = tinyModel()
})
afterEach(() => {
  model.parameters.dispose()
  expect(tf.memory().numTensors).toBe(before)
})

const batch = packSequences([
  { ids: [1, 5, 6, 2, 7, 2], tokenTypeIds: [0, 0, 0, 0, 1, 1] },
  { ids: [1, 9, 2], tokenTypeIds: [0, 0, 0] },
  { ids: [1, 9, 9, 8, 2], tokenTypeIds: [0, 0, 0, 0, 0] },
])
const labels = Int32Array.from([0, 2, 1])
const training = (update: number, rate = 0.1): ModelDropout => ({
  rate,
  stream: stream(11, "dropout"),
  iteration: update,
})

const valuesOf = (run: () => tf.Tensor): number[] => {
  const tensor = run()
  const values = [...tensor.dataSync()]
  tensor.dispose()
  return values
}
const logitsOf = (of: EncoderModel, sequences: Sequences, dropout?: ModelDropout) =>
  valuesOf(() =>
    tf.tidy(() =>
      classify(of, encode(of, sequences, { dropout, indices: clsIndices(sequences.offsets) }), dropout),
    ),
  )
const largestDifference = (left: readonly number[], right: readonly number[]) => {
  expect(left.length).toBe(right.length)
  return Math.max(...left.map((value, i) => Math.abs(value - right[i]!)))
}

describe("the encoder", () => {
  test("gives a packed sequence the same hidden states as the sequence alone", () => {
    const together = valuesOf(() => encode(model, batch))
    const alone = [0, 1, 2].flatMap((n) => valuesOf(() => encode(model, selectSequences(batch, [n]))))
    expect(largestDifference(together, alone)).toBeLessThan(1e-6)
  })

  test("depends on the order, the segments and the other tokens of a sequence", () => {
    const encodeOne = (ids: number[], tokenTypeIds: number[]) =>
      valuesOf(() => encode(model, packSequences([{ ids, tokenTypeIds }]))).slice(0, 8)
    const first = encodeOne([1, 5, 6, 2], [0, 0, 0, 0])
    for (const other of [
      encodeOne([1, 6, 5, 2], [0, 0, 0, 0]),
      encodeOne([1, 5, 6, 2], [0, 0, 1, 1]),
      encodeOne([1, 5, 7, 2], [0, 0, 0, 0]),
    ]) {
      expect(largestDifference(first, other)).toBeGreaterThan(1e-3)
    }
  })

  test("ends with a layer normalisation: with scale 1 and shift 0 each token has mean 0 and variance 1", () => {
    const last = "bert.encoder.layer.1.output.LayerNorm"
    model.parameters.set(`${last}.weight`, tf.ones([8]))
    model.parameters.set(`${last}.bias`, tf.zeros([8]))
    const hidden = valuesOf(() => encode(model, batch))
    for (let token = 0; token < 14; token++) {
      const row = hidden.slice(8 * token, 8 * token + 8)
      expect(Math.abs(row.reduce((sum, value) => sum + value, 0) / 8)).toBeLessThan(1e-6)
      expect(Math.abs(row.reduce((sum, value) => sum + value * value, 0) / 8 - 1)).toBeLessThan(1e-5)
    }
  })

  test("refuses ids, segments and positions that have no row in their table", () => {
    const one = (ids: number[], tokenTypeIds: number[]) => () =>
      encode(model, packSequences([{ ids, tokenTypeIds }]))
    expect(one([1, 20], [0, 0])).toThrow("row 20 of a table of 20 rows")
    expect(one([1, -1], [0, 0])).toThrow("row -1")
    expect(one([1, 2], [0, 2])).toThrow("row 2 of a table of 2 rows")
    expect(one(new Array(17).fill(1), new Array(17).fill(0))).toThrow("row 16 of a table of 16 rows")
    expect(() => encode(model, { ...batch, offsets: Int32Array.from([0, 3, 3, 14]) })).toThrow("0 tokens")
  })
})

describe("dropout", () => {
  test("is the same for the same update and seed, and differs for another update or seed", () => {
    expect(logitsOf(model, batch, training(5))).toEqual(logitsOf(model, batch, training(5)))
    expect(logitsOf(model, batch, training(5))).not.toEqual(logitsOf(model, batch, training(6)))
    const otherSeed = { ...training(5), stream: stream(12, "dropout") }
    expect(logitsOf(model, batch, training(5))).not.toEqual(logitsOf(model, batch, otherSeed))
  })

  test("is applied in training only", () => {
    expect(logitsOf(model, batch)).not.toEqual(logitsOf(model, batch, training(5)))
    expect(logitsOf(model, batch, training(5, 0))).toEqual(logitsOf(model, batch))
  })

  test("is applied once at every site of the model, each with its own draws from the stream, all at one rate", () => {
    const seen: Dropout[] = []
    const recording =
      <A extends readonly unknown[], B>(body: (...args: A) => B) =>
      (...args: A): B => {
        seen.push(...args.filter((value): value is Dropout => Object.hasOwn(Object(value), "rate")))
        return body(...args)
      }
    registerKernels("cpu", [
      implement(attentionKernel, recording(attentionKernel.definition)),
      implement(dropoutKernel, recording(dropoutKernel.definition)),
      implement(residualNormKernel, (x, residual, gamma, beta, epsilon, dropout, indices) => {
        if (dropout !== undefined) seen.push(dropout)
        return residualNormKernel.definition(x, residual, gamma, beta, epsilon, undefined, indices)
      }),
    ])
    try {
      logitsOf(model, batch, training(5, 0.3))
    } finally {
      registerKernels("cpu", hostKernels)
    }
    expect(seen.map(({ site }) => site)).toEqual([0, 1, 2, 3, 4, 5, 6, dropoutSite.classifier(model.config)])
    for (const { site, ...rest } of seen) expect(rest).toEqual(training(5, 0.3))
  })

  test("drops hidden values at the given rate and scales up the rest", () => {
    // Visible at the classifier's dropout: pooled values of tanh(0 · h + 1), and the identity as classifier.
    const config = { ...tinyConfig, hidden: 8, labels: [..."abcdefgh"] }
    const constant = tinyModel(config)
    constant.parameters.set("bert.pooler.dense.weight", tf.zeros([8, 8]))
    constant.parameters.set("bert.pooler.dense.bias", tf.ones([8]))
    constant.parameters.set("classifier.weight", tf.eye(8))
    constant.parameters.set("classifier.bias", tf.zeros([8]))
    const kept = Math.tanh(1) / 0.75
    let dropped = 0
    const draws = 60
    for (let update = 0; update < draws; update++) {
      for (const value of logitsOf(constant, batch, training(update, 0.25))) {
        if (value === 0) dropped++
        else expect(value).toBeCloseTo(kept, 6)
      }
    }
    const n = draws * 3 * 8
    expect(Math.abs(dropped / n - 0.25)).toBeLessThan(5 * Math.sqrt((0.25 * 0.75) / n))
    constant.parameters.dispose()
  })

  test("gives a sentence that is twice in a batch two different embeddings, and equal ones in evaluation", () => {
    const twice = selectSequences(batch, [0, 0])
    const embeddings = (dropout?: ModelDropout) => {
      const values = valuesOf(() => encode(model, twice, { dropout, indices: clsIndices(twice.offsets) }))
      return [values.slice(0, 8), values.slice(8)] as const
    }
    const [first, second] = embeddings(training(1))
    expect(largestDifference(first, second)).toBeGreaterThan(1e-2)
    const [same, again] = embeddings()
    expect(largestDifference(same, again)).toBeLessThan(1e-6)
  })

  test("has a different site everywhere in the model", () => {
    const layers = Array.from({ length: 24 }, (_, layer) => layer)
    const sites = [
      dropoutSite.embeddings,
      ...layers.flatMap((layer) => [
        dropoutSite.attention(layer),
        dropoutSite.attentionOutput(layer),
        dropoutSite.output(layer),
      ]),
      dropoutSite.classifier(configOf("large", 30522, 0)),
    ]
    expect(new Set(sites).size).toBe(24 * 3 + 2)
  })
})

describe("gradients", () => {
  const lossOf = (of: EncoderModel, dropout?: ModelDropout) =>
    softmaxCrossEntropy(
      classify(of, encode(of, batch, { dropout, indices: clsIndices(batch.offsets) }), dropout),
      labels,
    )

  test("with dropout agree with finite differences of the loss", () => {
    const names = model.parameters.names.filter((name) => !name.startsWith("cls."))
    const { value, gradients } = valueAndGradients(() => lossOf(model, training(3)), model.parameters, names)
    value.dispose()
    expect(gradients.size).toBe(names.length)
    for (const name of names) {
      const gradient = gradients.get(name)!
      const norm = Math.hypot(...gradient.dataSync())
      // The keys' biases have no gradient: a constant added to all scores of a query changes nothing.
      if (name.endsWith("key.bias")) {
        expect(norm).toBeLessThan(1e-6)
        continue
      }
      // Along the gradient itself the derivative is its norm.
      const original = model.parameters.get(name).clone()
      const width = 0.02
      const at = (steps: number) => {
        model.parameters.set(
          name,
          tf.tidy(() => original.add(gradient.mul((steps * width) / norm))),
        )
        return valuesOf(() => tf.tidy(() => lossOf(model, training(3))))[0]!
      }
      // Five-point stencil: the error is of fourth order in the width.
      const derivative = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * width)
      expect({ name, agree: Math.abs(derivative / norm - 1) < 5e-3 }).toEqual({ name, agree: true })
      model.parameters.set(name, original)
    }
    disposeGradients(gradients)
  })

  test("a tap records every product, normalisation and table, under the parameters' prefix", () => {
    const prefixesOf = (names: readonly string[]) =>
      [...new Set(names.map((name) => name.replace(/\.(weight|bias)$/, "")))].sort()
    const recorded: string[] = []
    backwardThroughTap(
      () => lossOf(model),
      ({ name }) => recorded.push(name),
    )
    const specs = parametersOf(tinyConfig, ["pooler", "classifier"])
    expect(recorded.sort()).toEqual(prefixesOf(specs.map(({ name }) => name)))
  })
})

describe("output heads", () => {
  test("the pooler is tanh of a product with the first token's hidden state", () => {
    const hidden = valuesOf(() => encode(model, batch))
    const pooled = valuesOf(() =>
      tf.tidy(() => pool(model, encode(model, batch, { indices: clsIndices(batch.offsets) }))),
    )
    const weight = model.parameters.get("bert.pooler.dense.weight").arraySync() as number[][]
    const bias = model.parameters.get("bert.pooler.dense.bias").arraySync() as number[]
    const expected = [0, 6, 9].flatMap((token) =>
      weight.map((row, o) =>
        Math.tanh(row.reduce((sum, w, i) => sum + w * hidden[8 * token + i]!, bias[o]!)),
      ),
    )
    expect(largestDifference(pooled, expected)).toBeLessThan(1e-6)
  })

  test("the masked language model agrees with its formula in float64", () => {
    const positions = Int32Array.of(1, 7, 10)
    const hidden = valuesOf(() => encode(model, batch))
    const logits = valuesOf(() =>
      tf.tidy(() => predictTokens(model, encode(model, batch, { indices: positions }))),
    )
    const vector = (name: string) => model.parameters.get(name).arraySync() as number[]
    const matrix = (name: string) => model.parameters.get(name).arraySync() as number[][]
    const prefix = "cls.predictions.transform"
    // x Φ(x) with Φ by Simpson's rule, independent of the implementation's error function.
    const gelu = (x: number) => {
      const n = 2000
      let area = 0
      for (let i = 0; i <= n; i++) {
        const weight = i === 0 || i === n ? 1 : i % 2 === 1 ? 4 : 2
        area += weight * Math.exp(-(((x * i) / n) ** 2) / 2)
      }
      return x * (0.5 + (area * x) / (3 * n) / Math.sqrt(2 * Math.PI))
    }
    const expected = [...positions].flatMap((position) => {
      const x = hidden.slice(8 * position, 8 * position + 8)
      const bias = vector(`${prefix}.dense.bias`)
      const inner = matrix(`${prefix}.dense.weight`).map((row, o) =>
        gelu(row.reduce((sum, w, i) => sum + w * x[i]!, bias[o]!)),
      )
      const mean = inner.reduce((sum, value) => sum + value, 0) / 8
      const variance = inner.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 8
      const scale = vector(`${prefix}.LayerNorm.weight`)
      const shift = vector(`${prefix}.LayerNorm.bias`)
      const y = inner.map(
        (value, i) => ((value - mean) / Math.sqrt(variance + 1e-12)) * scale[i]! + shift[i]!,
      )
      const out = vector("cls.predictions.bias")
      return matrix("bert.embeddings.word_embeddings.weight").map((row, v) =>
        row.reduce((sum, w, i) => sum + w * y[i]!, out[v]!),
      )
    })
    expect(largestDifference(logits, expected)).toBeLessThan(1e-5)
  })

  test("the word embeddings get gradients from both of their uses", () => {
    const word = "bert.embeddings.word_embeddings.weight"
    const loss = () =>
      softmaxCrossEntropy(
        predictTokens(model, encode(model, batch, { indices: Int32Array.of(1, 7) })),
        Int32Array.from([4, 13]),
      )
    const { value, gradients } = valueAndGradients(loss, model.parameters, [word])
    const gradient = gradients.get(word)!.arraySync() as number[][]
    // 15 is neither in the batch nor a label: its gradient comes from the decoder alone. 5 is in the batch.
    for (const id of [15, 5]) {
      const original = model.parameters.get(word).clone()
      const at = (epsilon: number) => {
        const shifted = original.arraySync() as number[][]
        shifted[id]![3]! += epsilon
        model.parameters.set(word, tf.tensor2d(shifted))
        return valuesOf(() => tf.tidy(loss))[0]!
      }
      const derivative = (at(1e-2) - at(-1e-2)) / 2e-2
      expect(Math.abs(derivative - gradient[id]![3]!)).toBeLessThan(2e-3 * Math.max(1, Math.abs(derivative)))
      model.parameters.set(word, original)
    }
    value.dispose()
    disposeGradients(gradients)
  })
})
