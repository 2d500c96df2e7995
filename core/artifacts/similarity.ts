import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { FileError, readJson, writeJson } from "../io/files.ts"
import { ArrayFile, readArray, writeArray } from "./arrays.ts"
import type { ArtifactKind } from "./kind.ts"
import { countOf, readSequences, type Sequences, SequencesFile, writeSequences } from "./sequences.ts"

/** A named set of sentence pairs with gold similarity scores, such as the dev set of STS-B or a subset of STS14. */
export interface SimilaritySet {
  readonly name: string
  readonly first: Sequences
  readonly second: Sequences
  /** [N], higher is more similar */
  readonly scores: Float64Array
}

export interface Similarity {
  readonly sets: readonly SimilaritySet[]
  readonly vocabularySize: number
}

export interface SimilarityEstimate {
  readonly pairs: number
  readonly tokensPerSentence: number
  readonly vocabularySize: number
}

const SimilarityFile = type({
  "+": "reject",
  sets: type({
    "+": "reject",
    name: "string > 0",
    first: SequencesFile,
    second: SequencesFile,
    scores: ArrayFile,
  })
    .array()
    .atLeastLength(1),
  vocabularySize: "number.integer > 0",
})

export const Similarity: ArtifactKind<"similarity", Similarity, Similarity, SimilarityEstimate> = {
  name: "similarity",
  write: Effect.fnUntraced(function* (folder, given) {
    const sets = yield* Effect.forEach(given.sets, (set, i) =>
      Effect.all({
        name: Effect.succeed(set.name),
        first: writeSequences(folder, `set-${i}.first`, set.first),
        second: writeSequences(folder, `set-${i}.second`, set.second),
        scores: writeArray(folder, `set-${i}.scores`, set.scores),
      }),
    )
    yield* writeJson(join(folder, "similarity.json"), { sets, vocabularySize: given.vocabularySize })
  }),
  read: Effect.fnUntraced(function* (folder) {
    const file = yield* readJson(join(folder, "similarity.json"), SimilarityFile)
    const sets = yield* Effect.forEach(
      file.sets,
      Effect.fnUntraced(function* (set) {
        const first = yield* readSequences(folder, set.first, file.vocabularySize)
        const second = yield* readSequences(folder, set.second, file.vocabularySize)
        const scores = yield* readArray(folder, set.scores, "f64")
        if (scores.length !== countOf(first) || scores.length !== countOf(second)) {
          const found = `expected a score for each pair, found ${scores.length} for ${countOf(first)} and ${countOf(second)} sentences`
          return yield* new FileError({ path: join(folder, set.scores.file), doing: "read", found })
        }
        return { name: set.name, first, second, scores }
      }),
    )
    return { sets, vocabularySize: file.vocabularySize }
  }),
}
