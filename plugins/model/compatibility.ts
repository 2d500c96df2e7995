/** Whether data fit a model. Each problem is one line for a person, and all are reported at once. */
import { join } from "node:path"
import type { CheckpointTaken } from "../../core/artifacts/checkpoint.ts"
import { countOf, longest, type Sequences } from "../../core/artifacts/sequences.ts"

/** The sizes of a model that data must fit, and where each is set. */
export interface Limits {
  readonly vocabularySize: number
  readonly vocabularyFrom: string
  readonly positions: number
  readonly positionsFrom: string
  readonly tokenTypes: number
}

export const limitsOfCheckpoint = (
  { folder, config: json }: CheckpointTaken,
  sizes: Pick<Limits, "vocabularySize" | "positions" | "tokenTypes">,
): Limits => {
  const config = join(folder, "config.json")
  // RoBERTa's positions start after those of padding, which are in the table too.
  const stated = json.max_position_embeddings
  const unused = typeof stated === "number" ? stated - sizes.positions : 0
  return {
    ...sizes,
    vocabularyFrom: `vocab_size in ${config}`,
    positionsFrom: `max_position_embeddings${unused === 0 ? "" : `, less ${unused} that are not used,`} in ${config}`,
  }
}

/**
 * Why sequences do not fit a model; empty if they do.
 *
 * @param what the input that the sequences came from, for the messages
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
      `${what} was tokenised with a vocabulary of ${vocabularySize} tokens, but the model has ${limits.vocabularySize} (${limits.vocabularyFrom}); tokenise it with the model's vocabulary`,
    )
  }
  const length = longest(sequences)
  if (length > limits.positions) {
    problems.push(
      `${what} has a sequence of ${length} tokens, but the model takes at most ${limits.positions} (${limits.positionsFrom}); truncate its sequences`,
    )
  }
  const { ids, tokenTypeIds, offsets } = sequences
  if (countOf(sequences) === 0) problems.push(`${what} is empty; expected at least one sequence`)
  const empty = offsets.findIndex((offset, n) => n > 0 && offset === offsets[n - 1])
  if (empty > 0) problems.push(`${what} has an empty sequence (number ${empty - 1}, counted from 0)`)
  const unknown = ids.findIndex((id) => id < 0 || id >= vocabularySize)
  if (unknown >= 0) {
    problems.push(
      `${what} has the token id ${ids[unknown]}; expected ids from 0 to ${vocabularySize - 1}; tokenise it again`,
    )
  }
  const tokenType = tokenTypeIds.find((type) => type < 0 || type >= limits.tokenTypes)
  if (tokenType !== undefined) {
    problems.push(
      `${what} has the token type id ${tokenType}; expected ids from 0 to ${limits.tokenTypes - 1}; tokenise it with the vocabulary of the model`,
    )
  }
  return problems
}

/** The names of the outputs of a model for a task: its classes, or the one that transformers calls a score. */
export const outputNames = (labelNames: readonly string[] | null): readonly string[] =>
  labelNames ?? ["LABEL_0"]

/**
 * Why a classifier does not answer to a task; empty if its outputs are the task's labels in the same order.
 *
 * @param what the classifier, for the message
 * @param outputs the names of its outputs
 * @param labelNames the task's classes, or null if its labels are scores
 * @param advice what to do about it
 */
export const classifierProblems = (
  what: string,
  outputs: readonly string[],
  labelNames: readonly string[] | null,
  advice: string,
): readonly string[] => {
  const expected = outputNames(labelNames)
  if (outputs.length === expected.length && expected.every((name, i) => outputs[i] === name)) return []
  return [
    `${what} must have the outputs ${expected.join(", ")}, as data are labelled (was ${outputs.join(", ")}); ${advice}`,
  ]
}
