import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import * as tf from "@tensorflow/tfjs-core"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import { Parameters } from "../../../core/tensor/parameters.ts"
import { stream } from "../../../core/tensor/stream.ts"
import { configOf } from "../../../plugins/model/config.ts"
import { encode, type TrainableModel } from "../../../plugins/model/encoder.ts"
import { initialise } from "../../../plugins/model/initialise.ts"
import { pool } from "../../../plugins/model/output-heads.ts"
import { parametersOf } from "../../../plugins/model/parameters.ts"
import { type Augmentation, augment } from "../../../plugins/pretrain/consert/augmentation.ts"
import { augmentedViews } from "../../../plugins/pretrain/consert/views.ts"
import { consert } from "../../../plugins/pretrain/consert.ts"
import { twoViews } from "../../../plugins/pretrain/shared/contrastive/views.ts"
import { testContrastiveLoss } from "../../../plugins/testing/testing.ts"
import { dot, lossOf, mean, unitViews } from "./contrastive-losses.ts"
import { onWasm, sentence } from "./running.ts"

testContrastiveLoss(consert, { options: { temperature: 0.5 } })

const hidden = 16
const sentences = packSequences([sentence(0, 4), sentence(7, 6), sentence(3, 5), sentence(12, 18)])
const rates = { tokenCutoff: 0.3, featureCutoff: 0.25, embeddingDropout: 0.4 }
const draw = { stream: stream(5, "augmentation"), iteration: 3 }

let model: TrainableModel
beforeAll(async () => {
  await onWasm()
  const size = { layers: 2, hidden, heads: 2, intermediate: 32, positions: 24, initializerRange: 0.3 }
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

test.each([0.01, 0.1, 1])(
  "the loss at temperature %p is NT-Xent of both views among all others, as in float64",
  (temperature) => {
    const all = unitViews.flat()
    const count = unitViews[0].length
    const terms = all.map((x, i) => {
      const total = all.reduce((sum, y, j) => sum + (i === j ? 0 : Math.exp(dot(x, y) / temperature)), 0)
      return Math.log(total) - dot(x, all[(i + count) % (2 * count)]!) / temperature
    })
    expect(Math.abs(lossOf(consert, { temperature }) / mean(terms) - 1)).toBeLessThan(1e-5)
  },
)

describe("augmentations", () => {
  const augmented = (augmentation: Augmentation, iteration = draw.iteration) => {
    const { places_T, mask_TH } = augment(sentences, hidden, () => augmentation, rates, {
      ...draw,
      iteration,
    })
    return [6, 8, 7, 20].map((length, n) => {
      const start = sentences.offsets[n]!
      return {
        length,
        places: [...places_T.subarray(start, start + length)],
        mask: Array.from({ length }, (_, t) => [
          ...mask_TH.subarray((start + t) * hidden, (start + t + 1) * hidden),
        ]),
      }
    })
  }
  const inOrder = (length: number) => Array.from({ length }, (_, t) => t)
  const ones = (length: number) => Array.from({ length }, () => new Array(hidden).fill(1))

  test("none changes nothing", () => {
    for (const { length, places, mask } of augmented("none")) {
      expect([places, mask]).toEqual([inOrder(length), ones(length)])
    }
  })

  test("shuffle permutes the places of each sequence, differently in each and in each update", () => {
    const shuffled = augmented("shuffle")
    for (const { length, places, mask } of shuffled) {
      expect(places.toSorted((a, b) => a - b)).toEqual(inOrder(length))
      expect(mask).toEqual(ones(length))
    }
    expect(shuffled[3]!.places).not.toEqual(inOrder(20))
    expect(augmented("shuffle", 4)).not.toEqual(shuffled)
    expect(augmented("shuffle")).toEqual(shuffled)
  })

  test("token-cutoff sets a fraction of whole tokens to 0, rounded down", () => {
    for (const { length, places, mask } of augmented("token-cutoff")) {
      expect(places).toEqual(inOrder(length))
      const sums = mask.map((row) => row.reduce((sum, value) => sum + value, 0))
      expect(sums.filter((sum) => sum === 0)).toHaveLength(Math.floor(0.3 * length))
      expect(sums.filter((sum) => sum === hidden)).toHaveLength(length - Math.floor(0.3 * length))
    }
  })

  test("feature-cutoff sets the same features to 0 in all tokens of a sequence, others in another one", () => {
    const all = augmented("feature-cutoff")
    for (const { mask } of all) {
      expect(mask[0]!.filter((value) => value === 0)).toHaveLength(4)
      for (const row of mask) expect(row).toEqual(mask[0]!)
    }
    expect(new Set(all.map(({ mask }) => mask[0]!.join())).size).toBe(4)
  })

  test("dropout sets single elements to 0, and rescales none", () => {
    const values = augmented("dropout").flatMap(({ mask }) => mask.flat())
    expect([...new Set(values)].sort()).toEqual([0, 1])
    // 656 elements: three standard deviations are 0.06.
    expect(Math.abs(values.filter((value) => value === 0).length / values.length - 0.4)).toBeLessThan(0.06)
  })
})

describe("views", () => {
  const chosen = Int32Array.from([3, 0, 2])
  const dropout = { rate: 0.2, stream: stream(9, "dropout"), iteration: 3 }
  const views = (first: Augmentation, second: Augmentation, rate = 0) => {
    const both = tf.tidy(() =>
      augmentedViews(model, sentences, chosen, { ...dropout, rate }, { first, second, rates, seed: 5 }),
    )
    const lists = both.map((view) => view.arraySync())
    tf.dispose(both)
    return lists as [number[][], number[][]]
  }

  test("without augmentation are those of dropout, to the bit", () => {
    const expected = tf.tidy(() => twoViews(model, sentences, chosen, dropout))
    expect(views("none", "none", 0.2)).toEqual(expected.map((view) => view.arraySync()) as never)
    tf.dispose(expected)
  })

  test("that are shuffled are those of the sentence with its tokens in the order of their places", () => {
    const [plain, second] = views("none", "shuffle")
    const rows = packSequences(
      [...chosen, ...chosen].map((n) => ({
        ids: sentences.ids.subarray(sentences.offsets[n]!, sentences.offsets[n + 1]!),
        tokenTypeIds: new Int32Array(sentences.offsets[n + 1]! - sentences.offsets[n]!),
      })),
    )
    const { places_T } = augment(rows, hidden, () => "shuffle", rates, draw)
    const ids = rows.ids.slice()
    for (let n = 0; n < 6; n++) {
      for (let t = rows.offsets[n]!; t < rows.offsets[n + 1]!; t++) {
        ids[rows.offsets[n]! + places_T[t]!] = rows.ids[t]!
      }
    }
    const cls = Int32Array.from({ length: 6 }, (_, n) => rows.offsets[n]! + places_T[rows.offsets[n]!]!)
    const h_6H = tf.tidy(() => pool(model, encode(model, { ...rows, ids }, { indices: cls })))
    const expected = (h_6H.arraySync() as number[][]).slice(3)
    h_6H.dispose()
    const off = second.flatMap((row, i) => row.map((value, h) => Math.abs(value - expected[i]![h]!)))
    expect(Math.max(...off)).toBeLessThan(1e-5)
    expect(second).not.toEqual(plain)
  })

  test.each(["token-cutoff", "feature-cutoff", "dropout"] as const)(
    "differ under %s alone",
    (augmentation) => {
      const [first, second] = views("none", augmentation)
      for (const [i, row] of first.entries()) {
        expect(Math.max(...row.map((value, h) => Math.abs(value - second[i]![h]!)))).toBeGreaterThan(1e-3)
      }
    },
  )
})
