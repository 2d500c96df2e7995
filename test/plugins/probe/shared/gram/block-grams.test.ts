import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { packSequences, selectSequences } from "../../../../../core/artifacts/sequences.ts"
import { integers, stream } from "../../../../../core/tensor/stream.ts"
import { type EncoderModel, encode, type TrainableModel } from "../../../../../plugins/model/encoder.ts"
import { classify, clsIndices } from "../../../../../plugins/model/output-heads.ts"
import { blocksOf, parametersOf } from "../../../../../plugins/model/parameters.ts"
import { gramsByDefinition } from "../../../../../plugins/probe/fisher/definition.ts"
import { deviation, selfCheck } from "../../../../../plugins/probe/fisher/self-check.ts"
import { backwardInPieces } from "../../../../../plugins/probe/shared/gram/backward.ts"
import {
  type Blocks,
  blockGrams,
  parameterGrams,
} from "../../../../../plugins/probe/shared/gram/block-grams.ts"
import type { Labelled } from "../../../../../plugins/probe/shared/likelihood.ts"
import { onEveryDefinition } from "../../../../core/tensor/every-definition.ts"
import { tinyConfig, tinyModel } from "../../../model/tiny-model.ts"
import { matrixOf } from "../../matrices.ts"

const config = { ...tinyConfig, layers: 3 }
const blocks: Blocks = blocksOf(parametersOf(config, ["pooler", "classifier"]))

const batchOf = (lengths: readonly number[]): Labelled => {
  const draw = (site: number, count: number, bound: number) =>
    integers({ stream: stream(5, "test"), site, iteration: 0 }, count, bound)
  return {
    sequences: packSequences(
      lengths.map((length, n) => ({
        ids: draw(2 * n + 1, length, config.vocabularySize),
        tokenTypeIds: Array.from({ length }, (_, t) => (2 * t > length ? 1 : 0)),
      })),
    ),
    labels: draw(0, lengths.length, config.labels.length),
  }
}

const batches: Record<string, Labelled> = {
  "sequences of different lengths": batchOf([5, 9, 2, 16, 1, 7]),
  "one sequence": batchOf([6]),
  "one sequence of one token": batchOf([1]),
  "one token each": batchOf([1, 1, 1]),
}

const classifierOf = (model: EncoderModel) => ({
  ...model,
  logits: (batch: Labelled["sequences"]) =>
    tf.tidy(() => classify(model, encode(model, batch, { indices: clsIndices(batch.offsets) }))),
})

const trace = (gram: Float64Array): number => {
  const n = Math.sqrt(gram.length)
  return gram.reduce((sum, entry, at) => sum + (at % (n + 1) === 0 ? entry : 0), 0)
}

onEveryDefinition("per-sample Gram matrices", () => {
  let model: TrainableModel
  let before: number
  beforeEach(() => {
    before = tf.memory().numTensors
    model = tinyModel(config, ["pooler", "classifier"])
  })
  afterEach(() => {
    model.parameters.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  describe.each(Object.entries(batches))("%s", (_, batch) => {
    test("equal those by definition for every parameter, with both methods", () => {
      const defined = gramsByDefinition(classifierOf(model), blocks, batch)
      for (const method of ["token", "direct", "cheaper"] as const) {
        const found = parameterGrams(model, blocks, batch, method)
        expect(new Set(found.keys())).toEqual(new Set(model.parameters.names))
        for (const [name, gram] of found) {
          const expected = defined.get(name)!
          // Softmax is invariant to the bias of the keys, so its gradient is nothing but rounding error.
          if (name.endsWith("key.bias")) expect(trace(gram)).toBeLessThan(1e-9)
          else expect(deviation(gram, expected)).toBeLessThan(1e-4)
        }
        expect(found).toEqual(parameterGrams(model, blocks, batch, method))
      }
    })
  })

  test("include all 16 tensors of a layer", () => {
    const grams = parameterGrams(model, blocks, batches["sequences of different lengths"]!)
    const names = blocks.get("layer.1")!
    expect(names).toHaveLength(16)
    const traces = names.filter((name) => !name.endsWith("key.bias")).map((name) => trace(grams.get(name)!))
    const whole = trace(blockGrams(blocks, grams).get("layer.1")!)
    expect(traces.reduce((sum, part) => sum + part, 0) / whole).toBeCloseTo(1, 6)
    for (const part of traces) expect(part / whole).toBeGreaterThan(1e-4)
  })

  test("of the encoder are the sum over its layers", () => {
    const grams = blockGrams(
      blocks,
      parameterGrams(model, blocks, batches["sequences of different lengths"]!),
    )
    expect([...grams.keys()]).toEqual([
      "embeddings",
      "layer.0",
      "layer.1",
      "layer.2",
      "pooler",
      "classifier",
      "encoder",
    ])
    const layers = [0, 1, 2].map((layer) => grams.get(`layer.${layer}`)!)
    const sum = layers[0]!.map((entry, at) => entry + layers[1]![at]! + layers[2]![at]!)
    expect(deviation(grams.get("encoder")!, sum)).toBeLessThan(1e-12)
  })

  test("are reordered as their samples are", () => {
    const { sequences, labels } = batches["sequences of different lengths"]!
    const order = Int32Array.of(3, 0, 5, 1, 4, 2)
    const reordered = {
      sequences: selectSequences(sequences, order),
      labels: Int32Array.from(order, (n) => labels[n]!),
    }
    const grams = blockGrams(blocks, parameterGrams(model, blocks, { sequences, labels }))
    for (const [block, found] of blockGrams(blocks, parameterGrams(model, blocks, reordered))) {
      const gram = grams.get(block)!
      expect(
        deviation(
          found,
          matrixOf(6, (i, j) => gram[order[i]! * 6 + order[j]!]!),
        ),
      ).toBeLessThan(1e-5)
    }
  })

  test("do not depend on which other blocks are computed", () => {
    const batch = batches["sequences of different lengths"]!
    const all = parameterGrams(model, blocks, batch)
    for (const block of ["layer.1", "classifier"]) {
      const alone: Blocks = new Map([[block, blocks.get(block)!]])
      const found = parameterGrams(model, alone, batch)
      expect(found).toEqual(new Map(blocks.get(block)!.map((name) => [name, all.get(name)!])))
    }
  })

  test("agree with the definition in the self-check", () => {
    const deviations = selfCheck(classifierOf(model), blocks, batches["sequences of different lengths"]!)
    expect(deviations.size).toBe(blocks.size + 1)
    for (const worst of deviations.values()) {
      expect(worst).toBeGreaterThan(0)
      expect(worst).toBeLessThan(1e-5)
    }
  })

  test("are refused for a parameter that no tapped op has", () => {
    const unknown: Blocks = new Map([["layer.2", ["bert.encoder.layer.2.gate.weight"]]])
    expect(() => parameterGrams(model, unknown, batches["one sequence"]!)).toThrow(
      "no tapped op has the parameters bert.encoder.layer.2.gate.weight",
    )
  })

  const received = (lowest: number, levelsAtATime: number) => {
    const gradients: [name: string, gradient: Float32Array][] = []
    const batch = batches["sequences of different lengths"]!
    backwardInPieces(model, batch, { lowest, levelsAtATime }, (tapped) => {
      const gradient = tapped.op === "linear" ? tapped.outputGradient_TO : tapped.outputGradient_TH
      gradients.push([tapped.name, Float32Array.from(gradient.dataSync())])
    })
    return gradients
  }

  test.each([1, 2, 3])("have the same bits in pieces of %p levels", (levelsAtATime) => {
    for (const lowest of [-1, 0, 2, 3]) expect(received(lowest, levelsAtATime)).toEqual(received(lowest, 99))
  })

  test("need nothing from below the lowest level", () => {
    const names = (lowest: number) => received(lowest, 99).map(([name]) => name)
    expect(names(3)).toEqual(["classifier", "bert.pooler.dense"])
    expect(names(2).filter((name) => !name.startsWith("bert.encoder.layer.2."))).toEqual(names(3))
    expect(names(2)).toHaveLength(2 + 8)
    expect(names(0)).toHaveLength(2 + 3 * 8)
    expect(names(-1)).toHaveLength(2 + 3 * 8 + 4)
  })
})
