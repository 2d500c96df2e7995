/** What must hold before training starts. Each problem is one line for a person, and all are reported at once. */
import { Effect } from "effect"
import type { CheckpointTaken } from "../../../core/artifacts/checkpoint.ts"
import { countOf, type Sequences } from "../../../core/artifacts/sequences.ts"
import type { SpecialTokens, Vocabulary } from "../../../core/artifacts/vocabulary.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import { vocabularyDifference } from "../../model/vocabulary.ts"

/**
 * Whether sequences, if there are any, suffice for a batch.
 *
 * @param count the number of items that can be trained on
 * @param what what they are, for the message
 */
export const batchProblems = (
  sequences: Sequences,
  count: number,
  batchSize: number,
  what = "sentences in the corpus",
): readonly string[] => {
  return countOf(sequences) > 0 && batchSize > count
    ? [`batchSize must be at most ${count}, the number of ${what} (was ${batchSize})`]
    : []
}

/** Whether a vocabulary is that of the corpus and of the checkpoint; its size is compared elsewhere. */
export const vocabularyProblems = Effect.fnUntraced(function* (
  vocabulary: Vocabulary,
  ofCorpus: SpecialTokens,
  checkpoint: CheckpointTaken | undefined,
) {
  const problems: string[] = []
  for (const role of ["pad", "unknown", "cls", "separator", "mask"] as const) {
    const [expected, found] = [vocabulary.special[role], ofCorpus[role]]
    if (found !== expected) {
      problems.push(
        `corpus has ${found} as its ${role} token, but vocabulary has ${expected}; tokenise the corpus with this vocabulary`,
      )
    }
  }
  if (checkpoint === undefined) return problems
  const difference = yield* vocabularyDifference(vocabulary, checkpoint.folder)
  if (difference !== undefined) problems.push(`vocabulary is not the checkpoint's: ${difference}`)
  return problems
})

/** @throws InvalidInput if there are problems */
export const refuse = (plugin: string, problems: readonly string[]): Effect.Effect<void, InvalidInput> =>
  problems.length === 0 ? Effect.void : Effect.fail(new InvalidInput({ what: plugin, problems }))
