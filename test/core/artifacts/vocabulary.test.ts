import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { Vocabulary } from "../../../core/artifacts/vocabulary.ts"
import { artifactFolder, special } from "./artifact-folder.ts"

const { path, write, read, refusal } = artifactFolder()

describe("a vocabulary", () => {
  const vocabulary = { tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "é", "##s"], special }

  test("is read as it was written", async () => {
    await write(Vocabulary, vocabulary)
    expect(await read(Vocabulary)).toEqual(vocabulary)
  })

  test("may bring its tokenizer.json", async () => {
    const cased = { ...vocabulary, tokenizer: { normalizer: { type: "BertNormalizer", lowercase: false } } }
    await write(Vocabulary, cased)
    expect(await read(Vocabulary)).toEqual(cased)
  })

  test("is refused if a special token's id is beyond its end", async () => {
    await write(Vocabulary, { ...vocabulary, special: { ...special, mask: 7 } })
    expect(await refusal(Vocabulary)).toBe(
      "cannot read F/special.json: mask: expected an id below 7, the size of the vocabulary, found 7",
    )
  })

  test("is not written if a token has a line break, which would make it two", async () => {
    const broken = Vocabulary.write(path(), { ...vocabulary, tokens: [...vocabulary.tokens, "a\nb"] })
    expect((await Effect.runPromise(Effect.flip(broken))).message).toContain(
      'the token "a\\nb" has a line break',
    )
  })
})
