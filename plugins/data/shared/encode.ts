import { Effect } from "effect"
import { SequencePacker } from "../../../core/artifacts/sequences.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import type { TextTokenizer } from "../../model/tokenizer.ts"

/** Sequences between two yields, about 50 ms of work, so that the plugin can be interrupted and progress displayed. */
const atOnce = 500

export interface Text {
  readonly first: string
  readonly second?: string | undefined
}

/**
 * The packed sequences of sentences or pairs, each truncated to `maxLength` tokens.
 *
 * @throws InvalidInput if `maxLength` leaves no room for text after the special tokens
 */
export const encodeAll = Effect.fnUntraced(function* (
  tokenizer: TextTokenizer,
  texts: readonly Text[],
  maxLength: number,
) {
  const shortest = texts.some(({ second }) => second !== undefined)
    ? tokenizer.shortest.pair
    : tokenizer.shortest.single
  if (maxLength < shortest) {
    const problem = `expected at least ${shortest} tokens, the special tokens of this tokenizer and one of each text, found ${maxLength}`
    return yield* new InvalidInput({ what: "maxLength", problems: [problem] })
  }
  const packer = new SequencePacker()
  for (const { first, second } of texts) {
    packer.add(tokenizer.encode(first, second, maxLength))
    if (packer.count % atOnce === 0) yield* Effect.yieldNow
  }
  return packer.packed()
})
