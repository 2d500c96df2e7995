import { Effect } from "effect"
import { spearman } from "../../../../core/artifacts/metrics/spearman.ts"
import { countOf, type Sequences, selectSequences } from "../../../../core/artifacts/sequences.ts"
import type { Similarity } from "../../../../core/artifacts/similarity.ts"

/** Pairs per batch: the encoder gets their first sentences together, then their second ones. */
export const pairsAtOnce = 32

type Vector = Float32Array | Float64Array

const cosine = (a_H: Vector, b_H: Vector): number => {
  let ab = 0
  let aa = 0
  let bb = 0
  for (let i = 0; i < a_H.length; i++) {
    ab += a_H[i]! * b_H[i]!
    aa += a_H[i]! * a_H[i]!
    bb += b_H[i]! * b_H[i]!
  }
  return ab / Math.sqrt(aa * bb)
}

/**
 * How well embeddings capture the similarity of sentences: Spearman's correlation between the gold scores and the
 * cosines of the embeddings, over the pairs of all sets as one list (the setting "all" of Gao, Yao and Chen 2021,
 * appendix B).
 *
 * @param embed returns the embeddings of N sequences, row after row, [N · H]
 * @returns in [−1, 1]; NaN if all cosines or all scores are equal
 */
export const similarityScore = Effect.fnUntraced(function* (
  { sets }: Similarity,
  embed: (sequences: Sequences) => Vector,
) {
  const cosines: number[] = []
  const scores: number[] = []
  for (const { first, second, scores: gold } of sets) {
    for (let start = 0; start < countOf(first); start += pairsAtOnce) {
      const count = Math.min(pairsAtOnce, countOf(first) - start)
      const indices = Int32Array.from({ length: count }, (_, i) => start + i)
      const firstEmbeddings = embed(selectSequences(first, indices))
      const secondEmbeddings = embed(selectSequences(second, indices))
      const hidden = firstEmbeddings.length / count
      for (let i = 0; i < count; i++) {
        const row = (embeddings: Vector) => embeddings.subarray(i * hidden, (i + 1) * hidden)
        cosines.push(cosine(row(firstEmbeddings), row(secondEmbeddings)))
      }
      // Lets an interruption through during a long evaluation.
      yield* Effect.yieldNow
    }
    for (const score of gold) scores.push(score)
  }
  return spearman(cosines, scores)
})
