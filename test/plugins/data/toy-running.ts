/** Runs the data plugins of the toy language with its vocabulary. */
import type { Node } from "../../../core/api/plugin.ts"
import type { AnyArtifactKind } from "../../../core/artifacts/kind.ts"
import type { Sequences } from "../../../core/artifacts/sequences.ts"
import { toyVocabulary } from "../../../plugins/data/toy-vocabulary.ts"
import { run } from "./running.ts"

/** The input of the other plugins in a pipeline; {@link give} supplies its value. */
export const vocabulary = toyVocabulary({})
/** The words of the toy language. */
export const words = await run(vocabulary)
/** The artifact that a plugin gives for this vocabulary. */
export const give = <K extends AnyArtifactKind>(node: Node<K>) => run(node, words)

/** Each sequence as the texts of its two segments; the second is empty if there is none. */
export const sentencesOf = ({ ids, tokenTypeIds, offsets }: Sequences) =>
  Array.from({ length: offsets.length - 1 }, (_, i) => {
    const [start, end] = [offsets[i]!, offsets[i + 1]!]
    const text = (segment: number) =>
      [...ids.subarray(start, end)]
        .filter((_, at) => tokenTypeIds[start + at] === segment)
        .map((id) => words.tokens[id]!)
        .filter((token) => token !== "[CLS]" && token !== "[SEP]")
        .join(" ")
    return [text(0), text(1)] as const
  })

/** How many tokens are the unknown token. */
export const unknowns = ({ ids }: Sequences) => ids.filter((id) => id === words.special.unknown).length
