import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { spearman } from "../../../../../core/artifacts/metrics/spearman.ts"
import { countOf, packSequences, type Sequences } from "../../../../../core/artifacts/sequences.ts"
import type { SimilaritySet } from "../../../../../core/artifacts/similarity.ts"
import { similarityScore } from "../../../../../plugins/pretrain/shared/contrastive/sentence-similarity.ts"

/** "Sentences" of one token that is an angle in degrees; `embed` gives vectors of that direction and any length. */
const angles = (degrees: readonly number[]) =>
  packSequences(degrees.map((ids) => ({ ids: [ids], tokenTypeIds: [0] })))
const embed = ({ ids }: Sequences) =>
  Float32Array.from(
    [...ids].flatMap((degrees, i) => {
      const radians = (degrees * Math.PI) / 180
      return [(i + 1) * Math.cos(radians), (i + 1) * Math.sin(radians)]
    }),
  )
const set = (name: string, first: number[], second: number[], scores: number[]): SimilaritySet => ({
  name,
  first: angles(first),
  second: angles(second),
  scores: Float64Array.from(scores),
})
const score = (sets: SimilaritySet[], by = embed) =>
  Effect.runPromise(similarityScore({ sets, vocabularySize: 360 }, by))

describe("similarityScore", () => {
  test("ranks pairs by the cosine of their embeddings, whatever the embeddings' length", async () => {
    expect(await score([set("a", [0, 0, 0, 10], [5, 90, 40, 30], [5, 0, 2, 3])])).toBe(1)
    expect(await score([set("a", [0, 0, 0, 10], [5, 90, 40, 30], [0, 5, 3, 2])])).toBe(-1)
  })

  test("takes the pairs of all sets as one list, in batches", async () => {
    const count = 75
    const first = Array.from({ length: count }, (_, i) => (i * 53) % 180)
    // No two pairs have the same angle between their sentences, so rounding cannot make or break ties.
    const second = first.map((angle, i) => angle + 1 + ((i * 31) % count))
    const gold = Array.from({ length: count }, (_, i) => (i * 17) % 6)
    const sets = [
      set("a", first.slice(0, 70), second.slice(0, 70), gold.slice(0, 70)),
      set("b", first.slice(70), second.slice(70), gold.slice(70)),
    ]
    let largest = 0
    const found = await score(sets, (sequences) => {
      largest = Math.max(largest, countOf(sequences))
      return embed(sequences)
    })
    // The cosine falls as the angle between the two grows.
    expect(found).toBeCloseTo(
      spearman(
        first.map((angle, i) => -Math.abs(angle - second[i]!)),
        gold,
      ),
      12,
    )
    expect(largest).toBeLessThanOrEqual(32)
  })

  test("is undefined for embeddings that are all the same", async () => {
    const same = (sequences: Sequences) => new Float32Array(2 * countOf(sequences)).fill(1)
    expect(await score([set("a", [0, 1, 2], [3, 4, 5], [1, 2, 3])], same)).toBeNaN()
  })
})
