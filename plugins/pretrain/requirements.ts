/** What must hold before a training starts: each problem is a line for a person, and all are told at once. */
import { join } from "node:path"
import { Effect } from "effect"
import type { CheckpointTaken } from "../../core/artifacts/checkpoint.ts"
import { countOf, type Sequences } from "../../core/artifacts/sequences.ts"
import type { SpecialTokens, Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { InvalidInput } from "../../core/decode.ts"
import { exists } from "../../core/files.ts"
import { readVocabulary } from "../model/vocabulary.ts"
import { longest } from "./truncation.ts"

/** The sizes of a model that data must fit, with the place where a person finds each. */
export interface Limits {
  readonly vocabularySize: number
  readonly vocabularyFrom: string
  readonly positions: number
  readonly positionsFrom: string
  readonly segments: number
}

export const limitsOfCheckpoint = (
  { folder }: CheckpointTaken,
  sizes: Pick<Limits, "vocabularySize" | "positions" | "segments">,
): Limits => {
  const config = join(folder, "config.json")
  return {
    ...sizes,
    vocabularyFrom: `vocab_size in ${config}`,
    positionsFrom: `max_position_embeddings in ${config}`,
  }
}

/**
 * What keeps sequences from going through a model.
 *
 * @param what the input that they came by
 */
export const sequenceProblems = (
  what: string,
  sequences: Sequences,
  vocabularySize: number,
  limits: Limits,
): readonly string[] => {
  const problems: string[] = []
  if (vocabularySize !== limits.vocabularySize) {
    problems.push(
      `${what} was tokenised with a vocabulary of ${vocabularySize} tokens, the model has ${limits.vocabularySize} (${limits.vocabularyFrom}); tokenise it with the model's vocabulary`,
    )
  }
  const length = longest(sequences)
  if (length > limits.positions) {
    problems.push(
      `${what} has a sequence of ${length} tokens, the model takes at most ${limits.positions} (${limits.positionsFrom}); shorten the sequences of ${what}`,
    )
  }
  const { ids, types, offsets } = sequences
  const empty = offsets.findIndex((offset, n) => n > 0 && offset === offsets[n - 1])
  if (empty > 0) problems.push(`${what} has an empty sequence (number ${empty - 1}, counted from 0)`)
  const stranger = ids.findIndex((id) => id < 0 || id >= vocabularySize)
  if (stranger >= 0) {
    problems.push(
      `${what} has the token id ${ids[stranger]}, ids from 0 to ${vocabularySize - 1} were expected; make it again`,
    )
  }
  const segment = types.find((type) => type < 0 || type >= limits.segments)
  if (segment !== undefined) {
    problems.push(`${what} has the segment id ${segment}, the model knows ${limits.segments} segments`)
  }
  return problems
}

/** What keeps batches from being made. `sentences`: those that can be trained on. */
export const batchProblems = (
  sequences: Sequences,
  sentences: number,
  batchSize: number,
): readonly string[] => {
  if (countOf(sequences) === 0) return ["corpus is empty, at least one sentence was expected"]
  return batchSize > sentences
    ? [`batchSize must be at most ${sentences}, the number of sentences in the corpus (was ${batchSize})`]
    : []
}

/**
 * What keeps a vocabulary from being that of the corpus, or of the checkpoint: its size (compared elsewhere) does not
 * tell one vocabulary from another, its tokens do.
 */
export const vocabularyProblems = Effect.fnUntraced(function* (
  vocabulary: Vocabulary,
  ofCorpus: SpecialTokens,
  checkpoint: CheckpointTaken | undefined,
) {
  const problems: string[] = []
  for (const role of ["pad", "unknown", "first", "separator", "mask"] as const) {
    const [expected, found] = [vocabulary.special[role], ofCorpus[role]]
    if (found !== expected) {
      problems.push(
        `corpus has ${found} as its ${role} token, vocabulary has ${expected}; tokenise the corpus with this vocabulary`,
      )
    }
  }
  if (checkpoint === undefined) return problems
  const path = join(checkpoint.folder, "vocab.txt")
  if (!(yield* exists(path))) return problems
  const { tokens } = yield* readVocabulary(path)
  const other = tokens.findIndex((token, id) => token !== vocabulary.tokens[id])
  if (other >= 0 || tokens.length !== vocabulary.tokens.length) {
    const at = other >= 0 ? other : tokens.length
    problems.push(
      `vocabulary is not the checkpoint's: token ${at} is ${JSON.stringify(vocabulary.tokens[at])}, and ${JSON.stringify(tokens[at])} on line ${at + 1} of ${path}`,
    )
  }
  return problems
})

/** @throws InvalidInput where there are problems */
export const refuse = (plugin: string, problems: readonly string[]): Effect.Effect<void, InvalidInput> =>
  problems.length === 0 ? Effect.void : Effect.fail(new InvalidInput({ what: plugin, problems }))
