import { afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { type Sequences, selectSequences } from "../../../core/artifacts/sequences.ts"
import type { Similarity } from "../../../core/artifacts/similarity.ts"
import { normal, stream } from "../../../core/tensor/stream.ts"
import { encode } from "../../../plugins/model/encoder.ts"
import { loadModel } from "../../../plugins/model/hugging-face.ts"
import { hiddenStates } from "../../../plugins/model/inspect.ts"
import { similarityScore } from "../../../plugins/pretrain/shared/contrastive/sentence-similarity.ts"
import { sentenceEmbeddings } from "../../../plugins/pretrain/shared/contrastive/views.ts"
import { embeddingsOf } from "../../../plugins/pretrain/sts-score/embeddings.ts"
import { Moments, whitening } from "../../../plugins/pretrain/sts-score/whitening.ts"
import { stsScore } from "../../../plugins/pretrain/sts-score.ts"
import { toyStudy, withArtifacts } from "../../../plugins/testing/testing.ts"
import { onWasm, refusal } from "./running.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(60_000)

/** Correlated embeddings far from 0, as those of BERT are. */
const embeddings = (count: number, hidden: number): Float32Array => {
  const values = normal({ stream: stream(1, "whitening"), site: 0, iteration: 0 }, count * hidden)
  return values.map((_, index) => {
    const [n, h] = [Math.floor(index / hidden), index % hidden]
    let sum = 20 + h
    for (let k = 0; k <= h; k++) sum += values[n * hidden + k]! / (1 + k)
    return sum
  })
}
const fitted = (values: Float32Array, hidden: number) => {
  const moments = new Moments(hidden)
  const half = hidden * Math.floor(values.length / hidden / 2)
  moments.add(values.subarray(0, half))
  moments.add(values.subarray(half))
  return moments.result()
}
const rowsOf = (values: ArrayLike<number>, width: number) =>
  Array.from({ length: values.length / width }, (_, n) =>
    Array.from({ length: width }, (_, h) => values[n * width + h]!),
  )
const mean = (of: readonly number[]) => of.reduce((sum, value) => sum + value, 0) / of.length
const covarianceOf = (rows: readonly (readonly number[])[]) => {
  const means = rows[0]!.map((_, h) => mean(rows.map((row) => row[h]!)))
  return means.map((a, i) => means.map((b, j) => mean(rows.map((row) => (row[i]! - a) * (row[j]! - b)))))
}
/** The solution of A x = b by Gauss's elimination. */
const solved = (a: readonly (readonly number[])[], b: readonly number[]): number[] => {
  const m = a.map((row, i) => [...row, b[i]!])
  for (let i = 0; i < m.length; i++) {
    for (let k = 0; k < m.length; k++) {
      if (k === i) continue
      const ratio = m[k]![i]! / m[i]![i]!
      m[k] = m[k]!.map((value, j) => value - ratio * m[i]![j]!)
    }
  }
  return m.map((row, i) => row.at(-1)! / row[i]!)
}
const dot = (x: readonly number[], y: readonly number[]) =>
  x.reduce((sum, value, i) => sum + value * y[i]!, 0)

describe("whitening", () => {
  const hidden = 5
  const values = embeddings(400, hidden)
  const rows = rowsOf(values, hidden)

  test("knows mean and covariance, whatever the batches are", () => {
    const { mean: means, covariance } = fitted(values, hidden)
    const expected = covarianceOf(rows)
    for (let i = 0; i < hidden; i++) {
      expect(means[i]!).toBeCloseTo(mean(rows.map((row) => row[i]!)), 10)
      for (let j = 0; j <= i; j++) expect(covariance[i * hidden + j]!).toBeCloseTo(expected[i]![j]!, 10)
    }
  })

  test("gives what it was fitted on the mean 0 and the identity as covariance", () => {
    const { dimensions, apply } = whitening(fitted(values, hidden))
    expect(dimensions).toBe(hidden)
    const whitened = rowsOf(apply(values), hidden)
    for (let i = 0; i < hidden; i++) expect(mean(whitened.map((row) => row[i]!))).toBeCloseTo(0, 9)
    for (const [i, row] of covarianceOf(whitened).entries()) {
      for (const [j, entry] of row.entries()) expect(entry).toBeCloseTo(i === j ? 1 : 0, 9)
    }
  })

  test("gives the products of the inverse covariance", () => {
    const found = fitted(values, hidden)
    const means = found.mean
    const whitened = rowsOf(whitening(found).apply(values.subarray(0, 4 * hidden)), hidden)
    const centred = rows.slice(0, 4).map((row) => row.map((value, h) => value - means[h]!))
    for (const [n, x] of centred.entries()) {
      const inverse = solved(covarianceOf(rows), x)
      for (const [m, y] of centred.entries())
        expect(dot(whitened[n]!, whitened[m]!)).toBeCloseTo(dot(inverse, y), 8)
    }
  })

  test("leaves out features that are combinations of others", () => {
    // A sixth feature, the sum of two others, and a seventh that is constant.
    const wide = Float32Array.from(rows.flatMap((row) => [...row, row[1]! + row[3]!, 4]))
    const { dimensions, apply } = whitening(fitted(wide, 7))
    expect(dimensions).toBe(5)
    const expected = rowsOf(whitening(fitted(values, hidden)).apply(values.subarray(0, 10)), 5)
    const found = rowsOf(apply(wide.subarray(0, 14)), 5)
    for (const [n, m] of [
      [0, 0],
      [0, 1],
      [1, 1],
    ] as const) {
      expect(dot(found[n]!, found[m]!)).toBeCloseTo(dot(expected[n]!, expected[m]!), 3)
    }
  })
})

describe("of a checkpoint", () => {
  const { checkpoint, corpus, similarity } = toyStudy
  beforeAll(onWasm)
  let before: number
  beforeEach(() => {
    before = tf.memory().numTensors
  })
  afterEach(() => expect(tf.memory().numTensors).toBe(before))

  test("the scores are those of its embeddings as they are, and of whitened ones", () =>
    withArtifacts(async (artifactOf) => {
      const { folder } = await artifactOf(checkpoint)
      const pairs = await artifactOf(similarity)
      const model = await Effect.runPromise(loadModel(folder, { outputHeads: {} }))
      const scoreBy = (embed: (sequences: Sequences) => Float32Array | Float64Array) =>
        Effect.runPromise(similarityScore(pairs, embed))
      const spearman = await scoreBy((batch) => sentenceEmbeddings(model, batch))
      expect(await artifactOf(stsScore({ checkpoint, similarity }))).toEqual([
        { dimensions: 8, pairs: 12, spearman },
      ])
      const { sequences } = await artifactOf(corpus)
      const first = selectSequences(
        sequences,
        Int32Array.from({ length: 60 }, (_, n) => n),
      )
      const moments = new Moments(8)
      moments.add(sentenceEmbeddings(model, first))
      const { dimensions, apply } = whitening(moments.result())
      // The last LayerNorm binds the features: their deviations, divided by its weight, add up to 0.
      expect(dimensions).toBeLessThan(8)
      const whitened = await scoreBy((batch) => apply(sentenceEmbeddings(model, batch)))
      expect(await artifactOf(stsScore({ checkpoint, similarity, corpus, sentences: 60 }))).toEqual([
        { dimensions, pairs: 12, spearman: whitened },
      ])
      model.parameters.dispose()
    }))

  test("folds deal the pairs in turn, over all sets together", () =>
    withArtifacts(async (artifactOf) => {
      const pairs = await artifactOf(similarity)
      const part = (from: number, every: number): Similarity => ({
        ...pairs,
        sets: pairs.sets.map(({ name, first, second, scores }) => {
          const chosen = [...scores.keys()].filter((n) => n % every === from)
          const pick = (sequences: Sequences) => selectSequences(sequences, chosen)
          return {
            name,
            first: pick(first),
            second: pick(second),
            scores: scores.filter((_, n) => n % every === from),
          }
        }),
      })
      const { folder } = await artifactOf(checkpoint)
      const model = await Effect.runPromise(loadModel(folder, { outputHeads: {} }))
      for (const fold of [1, 2, 3]) {
        const spearman = await Effect.runPromise(
          similarityScore(part(fold - 1, 3), (batch) => sentenceEmbeddings(model, batch)),
        )
        expect(await artifactOf(stsScore({ checkpoint, similarity, folds: 3, fold }))).toEqual([
          { dimensions: 8, pairs: 4, spearman },
        ])
      }
      model.parameters.dispose()
      expect(stsScore({ checkpoint, similarity, folds: 3, fold: 4 }).problems).toEqual([
        "fold must be at most 3, the number of folds (was 4)",
      ])
    }))

  test("first-last is the mean over tokens of the first and the last layer", () =>
    withArtifacts(async (artifactOf) => {
      const { folder } = await artifactOf(checkpoint)
      const { sequences } = await artifactOf(corpus)
      const batch = selectSequences(sequences, Int32Array.of(0, 3))
      const model = await Effect.runPromise(loadModel(folder, { outputHeads: {} }))
      const found = embeddingsOf(model, "first-last")(batch)
      const both = [hiddenStates(model, batch, 1), encode(model, batch)]
      const layers = both.map((states) => rowsOf(states.dataSync(), 8))
      tf.dispose(both)
      for (const n of [0, 1]) {
        for (let h = 0; h < 8; h++) {
          const means = layers.map((rows) =>
            mean(rows.slice(batch.offsets[n], batch.offsets[n + 1]).map((row) => row[h]!)),
          )
          expect(found[8 * n + h]!).toBeCloseTo(mean(means), 5)
        }
      }
      model.parameters.dispose()
    }))

  test("fewer sentences than features, and pairs of one score, are refused", () =>
    withArtifacts(async (artifactOf) => {
      const inputs = {
        checkpoint: await artifactOf(checkpoint),
        corpus: await artifactOf(corpus),
        similarity: await artifactOf(similarity),
      }
      const scratch = mkdtempSync(join(tmpdir(), "whitening-"))
      const message = (options: object, changed: object = {}) =>
        refusal(stsScore, { options: { ...options }, inputs: { ...inputs, ...changed }, scratch })
      expect(await message({ sentences: 8 })).toContain("more sentences than the 8 features of the model")
      const sets = inputs.similarity.sets.map((set) => ({ ...set, scores: new Float64Array(12) }))
      expect(await message({}, { similarity: { ...inputs.similarity, sets } })).toContain(
        "all scores in similarity are equal",
      )
      rmSync(scratch, { recursive: true })
    }))
})
