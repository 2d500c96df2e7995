import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import type { CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import type { Examples } from "../../../core/artifacts/examples.ts"
import { packSequences, type Sequences } from "../../../core/artifacts/sequences.ts"
import { supervisedLoss } from "../../../plugins/pretrain/supervised-simcse/loss.ts"
import { rowsOf, triplesOf } from "../../../plugins/pretrain/supervised-simcse/triples.ts"
import { supervisedSimcse } from "../../../plugins/pretrain/supervised-simcse.ts"
import { drawn, expectDifferentiable } from "../../../plugins/testing/differences.ts"
import { toyStudy, withArtifacts } from "../../../plugins/testing/testing.ts"
import { writeCheckpoint } from "../finetune/running.ts"
import { dot, mean } from "./contrastive-losses.ts"
import { onWasm, refusal, special } from "./running.ts"

const root = mkdtempSync(join(tmpdir(), "supervised-simcse-"))
let checkpoint: CheckpointTaken
beforeAll(async () => {
  await onWasm()
  checkpoint = await writeCheckpoint(join(root, "checkpoint"), { vocabularySize: 25 })
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const { cls, separator } = special
/** `[CLS] a [SEP] b [SEP]`. */
const pair = (a: readonly number[], b: readonly number[]) => {
  const ids = [cls, ...a, separator, ...b, separator]
  return { ids, tokenTypeIds: ids.map((_, t) => (t < a.length + 2 ? 0 : 1)) }
}
/** Two anchors with the same first sentence, one with a hard negative of its own, one without, and a neutral pair. */
const split = {
  sequences: packSequences([
    pair([5, 6], [7]),
    pair([5, 6], [8]),
    pair([5, 6], [9, 10]),
    pair([11], [12]),
    pair([13], [14, 15, 16]),
    pair([17], [18]),
    pair([17], [19]),
  ]),
  labels: Float64Array.from([0, 0, 2, 0, 1, 2, 0]),
}
const lists = ({ ids, offsets }: Sequences) =>
  Array.from({ length: offsets.length - 1 }, (_, n) => [...ids.subarray(offsets[n], offsets[n + 1])])
const single = (...ids: readonly number[]) => [cls, ...ids, separator]

describe("triples", () => {
  test("have an anchor, what it entails, and a hard negative of its own where it has one", () => {
    const triples = triplesOf(split, special, 0, 2)!
    expect(triples.count).toBe(4)
    expect(lists(triples.sequences)).toEqual([
      ...[single(5, 6), single(5, 6), single(11), single(17)],
      ...[single(7), single(8), single(12), single(19)],
      // The third anchor has none of its own: it gets the first of all.
      ...[single(9, 10), single(9, 10), single(9, 10), single(18)],
    ])
    expect(new Set(triples.sequences.tokenTypeIds)).toEqual(new Set([0]))
    expect(triples.hardNegatives).toEqual({ own: 3, others: 1 })
    expect([...rowsOf(triples, Int32Array.of(2, 0))]).toEqual([2, 0, 6, 4, 10, 8])
  })

  test("take several hard negatives of an anchor in turn", () => {
    const { sequences } = triplesOf(
      { ...split, labels: Float64Array.from([0, 2, 2, 1, 1, 1, 1]) },
      special,
      0,
      2,
    )!
    expect(lists(sequences).at(-1)).toEqual(single(8))
    const labels = Float64Array.from([0, 0, 0, 2, 2, 1, 1])
    const others = triplesOf({ ...split, labels }, special, 0, 2)!
    expect(lists(others.sequences).slice(-3)).toEqual([single(12), single(14, 15, 16), single(12)])
    expect(others.hardNegatives).toEqual({ own: 0, others: 3 })
  })

  test("are pairs where no pair has the negative label", () => {
    const labels = Float64Array.from([0, 0, 1, 0, 1, 1, 0])
    const pairs = triplesOf({ ...split, labels }, special, 0, 2)!
    expect([pairs.count, lists(pairs.sequences).length, pairs.hardNegatives]).toEqual([4, 8, undefined])
    expect([...rowsOf(pairs, Int32Array.of(3))]).toEqual([3, 7])
  })

  test("come from pairs with two separators between them too, as in RoBERTa", () => {
    const ids = [cls, 5, 6, separator, separator, 7, separator]
    const sequences = packSequences([{ ids, tokenTypeIds: ids.map(() => 0) }])
    const triples = triplesOf({ sequences, labels: Float64Array.of(0) }, special, 0, 1)!
    expect(lists(triples.sequences)).toEqual([single(5, 6), single(7)])
  })
})

test("in the toy language, each anchor's hard negative follows from the other premise of its knot", () =>
  withArtifacts(async (artifactOf) => {
    const { train, special } = await artifactOf(toyStudy.examples)
    const triples = triplesOf(train, special, 0, 1)!
    expect(triples.count).toBe(12)
    const sentences = lists(triples.sequences).map(String)
    // A knot's two positives are each other's hard negatives.
    for (let n = 0; n < 12; n += 2) {
      expect([sentences[24 + n], sentences[25 + n]]).toEqual([sentences[13 + n], sentences[12 + n]])
    }
  }))

describe("the loss", () => {
  const [count, hidden] = [4, 3]
  const unit = (x: readonly number[]) => x.map((value) => value / Math.hypot(...x))

  test.each([
    [3, 0.05],
    [3, 1],
    [2, 0.1],
  ])("of %p sentences for each anchor at temperature %p is equation 5 in float64", (roles, temperature) => {
    const { values } = drawn([roles * count, hidden], 0)
    const rows = Array.from({ length: roles * count }, (_, n) =>
      unit([...values.slice(n * hidden, (n + 1) * hidden)]),
    )
    const terms = rows.slice(0, count).map((anchor, i) => {
      const exponentials = rows.slice(count).map((other) => Math.exp(dot(anchor, other) / temperature))
      return -Math.log(exponentials[i]! / exponentials.reduce((sum, value) => sum + value, 0))
    })
    const before = tf.memory().numTensors
    const loss = tf.tidy(
      () => supervisedLoss(tf.tensor2d(values, [roles * count, hidden]), count, temperature).dataSync()[0]!,
    )
    expect(tf.memory().numTensors).toBe(before)
    expect(Math.abs(loss / mean(terms) - 1)).toBeLessThan(1e-5)
  })

  test("has the gradient that differences give", () =>
    expectDifferentiable((given) => supervisedLoss(given.get("h"), count, 0.5), {
      h: drawn([3 * count, hidden], 1),
    }))
})

test("training lowers the loss, and records where hard negatives came from", () =>
  withArtifacts(async (artifactOf) => {
    const { examples: data, checkpoint } = toyStudy
    const settings = { batchSize: 6, steps: 100, lr: 0.01, dropout: 0 }
    const { folder } = await artifactOf(supervisedSimcse({ data, checkpoint, ...settings }))
    const { loss, sentences, hardNegatives } = JSON.parse(readFileSync(join(folder, "training.json"), "utf8"))
    expect(mean(loss.slice(-5))).toBeLessThan(mean(loss.slice(0, 5)) - 0.3)
    expect([sentences, hardNegatives]).toEqual([12, { own: 12, others: 0 }])
  }))

describe("refusals", () => {
  const data: Examples = {
    labelNames: ["entailment", "neutral", "contradiction"],
    metrics: ["accuracy"],
    train: split,
    dev: split,
    special,
    vocabularySize: 25,
  }
  const message = (options: object, changed: Partial<Examples> = {}) =>
    refusal(supervisedSimcse, {
      options: { batchSize: 2, steps: 1, ...options },
      inputs: { data: { ...data, ...changed }, checkpoint },
      scratch: join(root, "scratch"),
    })

  test("scores, single sentences, unknown or equal labels, and a batch that is too large", async () => {
    expect(await message({}, { labelNames: null })).toContain("data must have classes (was scores)")
    const sequences = packSequences([{ ids: single(5), tokenTypeIds: [0, 0, 0] }])
    expect(await message({}, { train: { sequences, labels: Float64Array.of(0) } })).toContain(
      "data must have pairs of sentences",
    )
    expect(await message({ positive: "yes" })).toContain(
      "positive must be one of the labels entailment, neutral, contradiction (was yes)",
    )
    expect(await message({ negative: "no" })).toContain("negative must be one of the labels")
    expect(await message({ negative: "entailment" })).toContain("positive and negative must differ")
    expect(await message({ batchSize: 5 })).toContain(
      "batchSize must be at most 4, the number of pairs labelled entailment in the data (was 5)",
    )
    const labels = new Float64Array(7).fill(1)
    expect(await message({}, { train: { ...split, labels } })).toContain(
      "pairs labelled entailment (was none)",
    )
  })
})
