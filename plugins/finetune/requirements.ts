import { join } from "node:path"
import type { CheckpointTaken } from "../../core/artifacts/checkpoint.ts"
import type { Examples, Split } from "../../core/artifacts/examples.ts"
import type { BertConfig } from "../model/config.ts"

/** What keeps the data from going through the model: a line for a person each, all told at once. */
export const problemsOf = (
  data: Examples,
  { folder }: CheckpointTaken,
  config: BertConfig,
): readonly string[] => {
  const file = join(folder, "config.json")
  const { vocabularySize, positions, segments } = config
  const problems: string[] = []
  if (data.vocabularySize > vocabularySize) {
    problems.push(
      `data was tokenised with a vocabulary of ${data.vocabularySize} tokens, the model has ${vocabularySize} (vocab_size in ${file}); tokenise it with the model's vocabulary`,
    )
  }
  const check = (name: string, { sequences: { ids, types, offsets } }: Split) => {
    let longest = 0
    for (let n = 0; n + 1 < offsets.length; n++) {
      const length = offsets[n + 1]! - offsets[n]!
      longest = Math.max(longest, length)
      if (length === 0) problems.push(`${name} has an empty example (number ${n}, counted from 0)`)
    }
    if (offsets.length < 2) problems.push(`${name} is empty, at least one example was expected`)
    if (longest > positions) {
      problems.push(
        `${name} has an example of ${longest} tokens, the model takes at most ${positions} (max_position_embeddings in ${file}); lower the maximum length of the data`,
      )
    }
    const id = ids.find((id) => id < 0 || id >= data.vocabularySize)
    if (id !== undefined) {
      problems.push(`${name} has the token id ${id}, its vocabulary has ${data.vocabularySize} tokens`)
    }
    const segment = types.find((segment) => segment < 0 || segment >= segments)
    if (segment !== undefined) {
      problems.push(
        `${name} has the segment id ${segment}, the model knows ${segments} segments (type_vocab_size in ${file})`,
      )
    }
  }
  check("the train split", data.train)
  check("the dev split", data.dev)
  return problems.length > 8
    ? [...problems.slice(0, 8), `and ${problems.length - 8} more like these`]
    : problems
}
