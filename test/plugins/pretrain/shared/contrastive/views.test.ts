import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { packSequences, selectSequences } from "../../../../../core/artifacts/sequences.ts"
import { infoNCE } from "../../../../../core/tensor/ops/info-nce.ts"
import { Parameters } from "../../../../../core/tensor/parameters.ts"
import { stream } from "../../../../../core/tensor/stream.ts"
import { configOf } from "../../../../../plugins/model/config.ts"
import { encode, type TrainableModel } from "../../../../../plugins/model/encoder.ts"
import { initialise } from "../../../../../plugins/model/initialise.ts"
import { parametersOf } from "../../../../../plugins/model/parameters.ts"
import { sentenceEmbeddings, twoViews } from "../../../../../plugins/pretrain/shared/contrastive/views.ts"
import { onWasm, sentence } from "../../running.ts"

const sentences = packSequences([sentence(0, 4), sentence(7, 6), sentence(3, 5), sentence(12, 4)])
const chosen = Int32Array.from([3, 0, 2])
const dropout = { rate: 0.2, stream: stream(9, "dropout"), iteration: 4 }
const temperature = 0.05

let model: TrainableModel
beforeAll(async () => {
  await onWasm()
  const size = { layers: 2, hidden: 16, heads: 2, intermediate: 32, positions: 8, initializerRange: 0.3 }
  const config = { ...configOf("base", 25, 0), ...size }
  const drawn = initialise(config, parametersOf(config, ["pooler"]), stream(3, "head"))
  model = { config, parameters: Parameters.fromHost(drawn) }
})
afterAll(() => model.parameters.dispose())

let before: number
beforeEach(() => {
  before = tf.memory().numTensors
})
afterEach(() => expect(tf.memory().numTensors).toBe(before))

/** The two views as lists of rows. */
const views = (rate: number, iteration = dropout.iteration) => {
  const both = tf.tidy(() => twoViews(model, sentences, chosen, { ...dropout, rate, iteration }))
  const lists = both.map((view) => view.arraySync())
  tf.dispose(both)
  return lists as [number[][], number[][]]
}
const distance = (a: readonly number[], b: readonly number[]) => Math.hypot(...a.map((x, i) => x - b[i]!))

describe("two views of a batch", () => {
  test("are the same without dropout", () => {
    const [first, second] = views(0)
    expect(first.length).toBe(3)
    expect(second).toEqual(first)
    // Row i of both is sentence chosen[i].
    const alone = tf.tidy(() => twoViews(model, sentences, chosen.subarray(1, 2), undefined)[0])
    expect(distance(first[1]!, [...alone.dataSync()])).toBeLessThan(1e-6)
    alone.dispose()
  })

  test.each([0.05, 0.1, 0.4])("differ in every row under dropout of %p", (rate) => {
    const [first, second] = views(rate)
    for (const [i, row] of first.entries()) expect(distance(row, second[i]!)).toBeGreaterThan(1e-3)
  })

  test("have different masks in each update, and the same ones in the same update", () => {
    expect(views(0.1, 5)).not.toEqual(views(0.1, 6))
    expect(views(0.1, 5)).toEqual(views(0.1, 5))
  })
})

describe("the loss of SimCSE", () => {
  test("is InfoNCE between the two views, in one direction", () => {
    const [first, second] = views(dropout.rate)
    const cosine = (a: number[], b: number[]) =>
      a.reduce((sum, x, i) => sum + x * b[i]!, 0) / (Math.hypot(...a) * Math.hypot(...b))
    const terms = first.map((row, i) => {
      const similarities = second.map((other) => Math.exp(cosine(row, other) / temperature))
      return -Math.log(similarities[i]! / similarities.reduce((a, b) => a + b, 0))
    })
    const loss = tf.tidy(() => infoNCE(...twoViews(model, sentences, chosen, dropout), temperature))
    expect(loss.dataSync()[0]!).toBeCloseTo(terms.reduce((a, b) => a + b, 0) / 3, 4)
    loss.dispose()
  })
})

describe("embeddings", () => {
  test("are the last hidden states of [CLS], without dropout and head", () => {
    const batch = selectSequences(sentences, chosen)
    const embeddings = sentenceEmbeddings(model, batch)
    expect(embeddings.length).toBe(3 * 16)
    const cls_NH = encode(model, batch, { indices: batch.offsets.subarray(0, -1) })
    expect(embeddings).toEqual(cls_NH.dataSync<"float32">())
    cls_NH.dispose()
    const dropped_NH = encode(model, batch, { dropout, indices: batch.offsets.subarray(0, -1) })
    expect(embeddings).not.toEqual(dropped_NH.dataSync<"float32">())
    dropped_NH.dispose()
    const headless = new Parameters()
    for (const name of model.parameters.names) {
      if (!name.startsWith("bert.pooler")) headless.set(name, model.parameters.get(name).clone())
    }
    expect(sentenceEmbeddings({ ...model, parameters: headless }, batch)).toEqual(embeddings)
    headless.dispose()
  })
})
