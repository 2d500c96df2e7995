import { expect, test } from "bun:test"
import { Effect } from "effect"
import { longest } from "../../../../core/artifacts/sequences.ts"
import { encodeAll } from "../../../../plugins/data/shared/encode.ts"
import { tokenizerOf } from "../../../../plugins/model/tokenizer.ts"
import { readVocabulary } from "../../../../plugins/model/vocabulary.ts"
import { fixture } from "../running.ts"

test("the shortest maximum length depends on the tokenizer, and a shorter one is refused", async () => {
  const pairs = [{ first: "a b c", second: "d e f" }]
  const sentences = [{ first: "a b c" }]
  for (const [file, pair] of [
    ["byte-level-bpe", 6],
    ["cased-word-piece", 5],
  ] as const) {
    const tokenizer = tokenizerOf(
      await Effect.runPromise(readVocabulary(fixture("tokenizers", `${file}.json`))),
    )
    for (const [texts, shortest] of [
      [pairs, pair],
      [sentences, 3],
    ] as const) {
      expect(longest(await Effect.runPromise(encodeAll(tokenizer, texts, shortest)))).toBe(shortest)
      const refused = await Effect.runPromise(Effect.flip(encodeAll(tokenizer, texts, shortest - 1)))
      expect(refused.message).toContain(`maxLength: expected at least ${shortest} tokens`)
    }
  }
})
