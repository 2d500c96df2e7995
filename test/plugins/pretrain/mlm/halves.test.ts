import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { countOf, packSequences } from "../../../../core/artifacts/sequences.ts"
import { softmaxCrossEntropy } from "../../../../core/tensor/ops/softmax-cross-entropy.ts"
import { disposeGradients, Parameters, valueAndGradients } from "../../../../core/tensor/parameters.ts"
import { stream } from "../../../../core/tensor/stream.ts"
import { configOf } from "../../../../plugins/model/config.ts"
import { encode } from "../../../../plugins/model/encoder.ts"
import { initialise } from "../../../../plugins/model/initialise.ts"
import { clsIndices, pool } from "../../../../plugins/model/output-heads.ts"
import { parametersOf } from "../../../../plugins/model/parameters.ts"
import { halver, longestPair } from "../../../../plugins/pretrain/mlm/halves.ts"
import { maskedLoss, nextSentenceShapes, pairLoss } from "../../../../plugins/pretrain/mlm/masked-loss.ts"
import { masker } from "../../../../plugins/pretrain/mlm/masking.ts"
import { drawInto, ownName } from "../../../../plugins/pretrain/shared/own-parameters.ts"
import { onWasm, sentence, special, vocabulary } from "../running.ts"

const { cls, separator } = special
const indicesOf = (count: number) => Int32Array.from({ length: count }, (_, n) => n)
/** Sentence n has the words 100 n … 100 n + length − 1, so that every half tells where it is from. */
const numbered = (lengths: readonly number[]) =>
  packSequences(
    lengths.map((length, n) => {
      const ids = [cls, ...Array.from({ length }, (_, i) => 100 * (n + 1) + i), separator]
      return { ids, tokenTypeIds: ids.map(() => 0) }
    }),
  )

describe("halves", () => {
  test("are the two halves of a sentence, or the first of one and the second of another", () => {
    const lengths = [1, 2, 5, 8, 9, 30]
    const batch = numbered(lengths)
    const { sequences, labels } = halver(special, 1)(batch, indicesOf(lengths.length), 0)
    expect(countOf(sequences)).toBe(lengths.length)
    for (const [n, length] of lengths.entries()) {
      const [start, end] = [sequences.offsets[n]!, sequences.offsets[n + 1]!]
      const ids = [...sequences.ids.subarray(start, end)]
      const between = ids.indexOf(separator)
      const first = ids.slice(1, between)
      const second = ids.slice(between + 1, -1)
      expect([ids[0], ids.at(-1)]).toEqual([cls, separator])
      expect(first).toEqual(Array.from({ length: Math.floor(length / 2) }, (_, i) => 100 * (n + 1) + i))
      const from = Math.floor(second[0]! / 100) - 1
      expect(labels[n]).toBe(from === n ? 0 : 1)
      const middle = Math.floor(lengths[from]! / 2)
      const rest = lengths[from]! - middle
      expect(second).toEqual(Array.from({ length: rest }, (_, i) => 100 * (from + 1) + middle + i))
      expect([...sequences.tokenTypeIds.subarray(start, end)]).toEqual([
        ...ids.slice(0, between + 1).map(() => 0),
        ...ids.slice(between + 1).map(() => 1),
      ])
    }
  })

  test("are the two sentences of a pair, where the corpus has pairs", () => {
    const pair = (first: readonly number[], second: readonly number[]) => ({
      ids: [cls, ...first, separator, ...second, separator],
      tokenTypeIds: [...first, 0, 0].map(() => 0).concat([...second, 0].map(() => 1)),
    })
    const pairs = [
      [[100, 101, 102], [103]],
      [[200], [201, 202]],
      [
        [300, 301],
        [302, 303, 304],
      ],
    ] as const
    const batch = packSequences(pairs.map(([first, second]) => pair(first, second)))
    const { sequences, labels } = halver(special, 1)(batch, indicesOf(3), 0)
    expect(labels).toContain(0)
    expect(labels).toContain(1)
    const expected = pairs.map(([first], n) => {
      const at = sequences.offsets[n]! + first.length + 2
      const from = Math.floor(sequences.ids[at]! / 100) - 1
      expect(labels[n]).toBe(from === n ? 0 : 1)
      return pair(first, pairs[from]![1])
    })
    expect(sequences).toEqual(packSequences(expected))
    expect(longestPair(batch)).toBe(3 + 3 + 3)
    expect(longestPair(numbered([5, 8]))).toBe(8 + 3)
  })

  test("are another sentence's in half of the cases, each other sentence equally often", () => {
    const count = 8
    const batch = numbered(new Array<number>(count).fill(4))
    const halve = halver(special, 3)
    const distance = new Array<number>(count).fill(0)
    const epochs = 4000
    for (let epoch = 0; epoch < epochs; epoch++) {
      const { sequences } = halve(batch, indicesOf(count), epoch)
      for (let n = 0; n < count; n++) {
        const from = Math.floor(sequences.ids[sequences.offsets[n]! + 4]! / 100) - 1
        distance[(from - n + count) % count]!++
      }
    }
    const of = count * epochs
    // Four standard deviations of a binomial count.
    const near = (found: number, p: number) =>
      expect(Math.abs(found / of - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / of))
    near(distance[0]!, 1 / 2)
    for (const found of distance.slice(1)) near(found, 1 / 14)
  })

  test("stay with their sentence in a batch of one", () => {
    const halve = halver(special, 1)
    for (let epoch = 0; epoch < 20; epoch++) {
      expect([...halve(numbered([6]), [0], epoch).labels]).toEqual([0])
    }
  })

  test("depend on the seed and the epoch, and are the same when drawn again", () => {
    const batch = numbered(new Array<number>(32).fill(6))
    const draw = (seed: number, epoch: number) => [
      ...halver(special, seed)(batch, indicesOf(32), epoch).labels,
    ]
    expect(draw(1, 0)).toEqual(draw(1, 0))
    expect(draw(1, 0)).not.toEqual(draw(1, 1))
    expect(draw(1, 0)).not.toEqual(draw(2, 0))
  })
})

describe("the loss of both predictions", () => {
  const config = {
    ...configOf("tiny", vocabulary.tokens.length, special.pad),
    layers: 2,
    hidden: 32,
    heads: 2,
    intermediate: 64,
    positions: 16,
  }
  const parameters = new Parameters()
  beforeAll(async () => {
    await onWasm()
    const specs = parametersOf(config, ["pooler", "maskedLanguageModel"])
    for (const [name, { values, shape }] of initialise(config, specs, stream(1, "head"))) {
      parameters.set(name, tf.tensor(values, [...shape]))
    }
    drawInto(parameters, nextSentenceShapes(config.hidden), stream(1, "loss"))
  })
  afterAll(() => parameters.dispose())

  const model = { config, parameters }
  const noDropout = { rate: 0, stream: stream(1, "dropout"), iteration: 0 }
  const batch = packSequences([sentence(0, 6), sentence(3, 9), sentence(7, 5), sentence(11, 8)])
  const indices = indicesOf(4)
  const { sequences, labels } = halver(special, 5)(batch, indices, 0)
  const masked = masker(special, vocabulary.tokens.length, 5)(sequences, indices, 0)

  test("is the sum of the two cross-entropies, each from its own pass", () => {
    const before = tf.memory().numTensors
    const [both, apart] = tf.tidy(() => {
      const hidden_NH = encode(model, masked.sequences, { indices: clsIndices(masked.sequences.offsets) })
      const weight_2H = parameters.get<tf.Tensor2D>(ownName("nextSentence.weight"))
      const bias_2 = parameters.get<tf.Tensor1D>(ownName("nextSentence.bias"))
      const logits_N2 = tf.add<tf.Tensor2D>(tf.matMul(pool(model, hidden_NH), weight_2H, false, true), bias_2)
      const words = maskedLoss(model, masked, noDropout).dataSync()[0]!
      const next = softmaxCrossEntropy(logits_N2, labels).dataSync()[0]!
      return [pairLoss(model, masked, labels, noDropout).dataSync()[0]!, words + next]
    })
    expect(both).toBeCloseTo(apart!, 5)
    expect(labels).toContain(1)
    expect(tf.memory().numTensors).toBe(before)
  })

  test("trains the pooler and the embedding of the second token type, which masked words alone leave alone", () => {
    const names = ["bert.pooler.dense.weight", "bert.embeddings.token_type_embeddings.weight"]
    const before = tf.memory().numTensors
    const { value, gradients } = valueAndGradients(
      () => pairLoss(model, masked, labels, noDropout),
      parameters,
      names,
    )
    value.dispose()
    const rowNorms = names.map((name) =>
      tf.tidy(() => [...tf.norm(gradients.get(name)!, 2, 1).dataSync()].map((norm) => norm > 1e-6)),
    )
    disposeGradients(gradients)
    expect(rowNorms[0]).not.toContain(false)
    expect(rowNorms[1]).toEqual([true, true])
    expect(tf.memory().numTensors).toBe(before)
  })
})
