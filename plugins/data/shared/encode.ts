import { Effect } from "effect"
import { SequencePacker } from "../../../core/artifacts/sequences.ts"
import type { WordPieceTokenizer } from "../../model/tokenizer.ts"

/** Between two chances to be interrupted, and for progress to show: about 50 ms of work. */
const atOnce = 500

export interface Text {
  readonly first: string
  readonly second?: string | undefined
}

/** The packed sequences of sentences or pairs, each cut to `maxLength`. */
export const encodeAll = Effect.fnUntraced(function* (
  tokenizer: WordPieceTokenizer,
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
