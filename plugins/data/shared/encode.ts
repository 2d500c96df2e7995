import { Effect } from "effect"
import { SequencePacker } from "../../../core/artifacts/sequences.ts"
import type { TextTokenizer } from "../../model/tokenizer.ts"

/** Sequences between two yields, about 50 ms of work, so that the plugin can be interrupted and progress displayed. */
const atOnce = 500

export interface Text {
  readonly first: string
  readonly second?: string | undefined
}

/** The packed sequences of sentences or pairs, each truncated to `maxLength` tokens. */
export const encodeAll = Effect.fnUntraced(function* (
  tokenizer: TextTokenizer,
  texts: readonly Text[],
  maxLength: number,
) {
  const packer = new SequencePacker()
  for (const { first, second } of texts) {
    packer.add(tokenizer.encode(first, second, maxLength))
    if (packer.count % atOnce === 0) yield* Effect.yieldNow
  }
  return packer.packed()
})
