import { afterEach, beforeEach, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import { valueAndGradients } from "../../../core/tensor/parameters.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { encode, type TrainableModel } from "../../../plugins/model/encoder.ts"
import { attentionProbabilities, hiddenStates, readHiddenStates } from "../../../plugins/model/inspect.ts"
import { onEveryDefinition } from "../../core/tensor/every-definition.ts"
import { tinyConfig, tinyModel } from "./tiny-model.ts"

const { hidden: width, heads, layers } = tinyConfig
const batch = packSequences([
  { ids: [1, 5, 6, 2, 7, 2], tokenTypeIds: [0, 0, 0, 0, 1, 1] },
  { ids: [1, 9, 2], tokenTypeIds: [0, 0, 0] },
  { ids: [1], tokenTypeIds: [0] },
])
const lengths = [6, 3, 1]

/** Values of a tensor, which is disposed of. */
const read = (tensor: tf.Tensor): readonly number[] => {
  const values = [...tensor.dataSync()]
  tensor.dispose()
  return values
}

const expectClose = (found: readonly number[], expected: readonly number[]) => {
  expect(found).toHaveLength(expected.length)
  expect(Math.max(...found.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThan(1e-5)
}

onEveryDefinition("inside a model,", () => {
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
  const parameter = (name: string) => model.parameters.get(name).dataSync()

  test("the states at depth 0 are the normalised sums of the embeddings, in float64", () => {
    const tables = ["word", "token_type", "position"].map((name) =>
      parameter(`bert.embeddings.${name}_embeddings.weight`),
    )
    const scale = parameter("bert.embeddings.LayerNorm.weight")
    const shift = parameter("bert.embeddings.LayerNorm.bias")
    const positions = lengths.flatMap((length) => Array.from({ length }, (_, t) => t))
    const expected = positions.flatMap((position, t) => {
      const rows = [batch.ids[t]!, batch.tokenTypeIds[t]!, position]
      const sum = Array.from({ length: width }, (_, h) =>
        tables.reduce((all, table, i) => all + table[rows[i]! * width + h]!, 0),
      )
      const mean = sum.reduce((all, x) => all + x, 0) / width
      const variance = sum.reduce((all, x) => all + (x - mean) ** 2, 0) / width
      return sum.map((x, h) => ((x - mean) / Math.sqrt(variance + 1e-12)) * scale[h]! + shift[h]!)
    })
    expectClose(read(hiddenStates(model, batch, 0)), expected)
  })

  test("those at a depth are the output of a model of that many layers", () => {
    for (const depth of [1, layers]) {
      const shallow = { ...model, config: { ...model.config, layers: depth } }
      expect(read(hiddenStates(model, batch, depth))).toEqual(read(encode(shallow, batch)))
    }
    const first = read(hiddenStates(model, batch, 0))
    expect(read(hiddenStates(model, batch, 1))).not.toEqual(first)
  })

  test("those at all depths in one pass are the same, and with dropout those of training", () => {
    const found: number[][] = []
    readHiddenStates(model, batch, (hidden_TH, depth) => {
      expect(depth).toBe(found.length)
      found.push([...hidden_TH.dataSync()])
    })
    expect(found).toEqual([0, 1, 2].map((depth) => [...read(hiddenStates(model, batch, depth))]))
    const dropout = { rate: 0.3, stream: stream(5, "test"), iteration: 4 }
    let last: number[] = []
    readHiddenStates(model, batch, (hidden_TH) => (last = [...hidden_TH.dataSync()]), dropout)
    expect(last).toEqual([...read(encode(model, batch, { dropout }))])
    expect(last).not.toEqual(found[2]!)
  })

  test("they are differentiable", () => {
    const name = "bert.encoder.layer.0.attention.self.query.weight"
    const loss = () => tf.sum<tf.Scalar>(tf.square(hiddenStates(model, batch, 1)))
    const { value, gradients } = valueAndGradients(loss, model.parameters, [name])
    expect(
      gradients
        .get(name)!
        .dataSync()
        .some((x) => x !== 0),
    ).toBe(true)
    tf.dispose([value, ...gradients.values()])
  })

  test("the attention probabilities are softmax(q kᵀ / √d) of each sequence and head, in float64", () => {
    for (let layer = 0; layer < layers; layer++) {
      const states = read(hiddenStates(model, batch, layer))
      const prefix = `bert.encoder.layer.${layer}.attention.self`
      const project = (name: string) => {
        const weight = parameter(`${prefix}.${name}.weight`)
        const bias = parameter(`${prefix}.${name}.bias`)
        return (t: number, o: number) =>
          bias[o]! +
          Array.from({ length: width }, (_, i) => weight[o * width + i]! * states[t * width + i]!).reduce(
            (all, x) => all + x,
            0,
          )
      }
      const query = project("query")
      const key = project("key")
      const d = width / heads
      const found = attentionProbabilities(model, batch, layer)
      expect(found.map(({ shape }) => shape)).toEqual(lengths.map((length) => [heads, length, length]))
      let first = 0
      for (const [n, length] of lengths.entries()) {
        const tokens = Array.from({ length }, (_, t) => first + t)
        const expected = Array.from({ length: heads }, (_, head) => head).flatMap((head) =>
          tokens.flatMap((t) => {
            const scores = tokens.map((u) => {
              const features = Array.from({ length: d }, (_, i) => head * d + i)
              return features.reduce((all, o) => all + query(t, o) * key(u, o), 0) / Math.sqrt(d)
            })
            const exponentials = scores.map((score) => Math.exp(score - Math.max(...scores)))
            const sum = exponentials.reduce((all, x) => all + x, 0)
            return exponentials.map((x) => x / sum)
          }),
        )
        expectClose(read(found[n]!), expected)
        first += length
      }
    }
  })

  test("a depth or a layer that the model does not have is refused", () => {
    for (const depth of [-1, layers + 1, 0.5]) {
      expect(() => hiddenStates(model, batch, depth)).toThrow(
        `expected a depth from 0 to ${layers}, found ${depth}`,
      )
    }
    expect(() => attentionProbabilities(model, batch, layers)).toThrow(
      `expected a layer from 0 to ${layers - 1}, found ${layers}`,
    )
  })
})
