import type { Similarity } from "../../../../core/artifacts/similarity.ts"
import { type Limits, sequenceProblems } from "../../../model/compatibility.ts"

/**
 * Why sentence pairs do not fit a model, or cannot rank models.
 *
 * @param input the name of the input that has them
 */
export const similarityProblems = (
  input: string,
  { sets, vocabularySize }: Similarity,
  limits: Limits,
): readonly string[] => {
  const problems = sets.flatMap(({ name, first, second }) =>
    [first, second].flatMap((side) => sequenceProblems(`${input} (${name})`, side, vocabularySize, limits)),
  )
  const distinct = new Set(sets.flatMap(({ scores }) => Array.from(scores)))
  return distinct.size > 1
    ? problems
    : [
        ...problems,
        `all scores in ${input} are equal; expected at least two different ones, to rank models by`,
      ]
}
