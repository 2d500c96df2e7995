import { beforeAll, describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { longestFirst, tokenizerOf, type WordPieceTokenizer } from "../../../plugins/model/tokenizer.ts"
import { readVocabulary } from "../../../plugins/model/vocabulary.ts"
import { withFolder } from "./tiny-model.ts"

const fixtures = new URL("../../fixtures/", import.meta.url).pathname
const shared = new URL("../../../../shared/", import.meta.url).pathname

interface Example {
  readonly texts: readonly [string, string?]
  readonly ids: readonly number[]
  /** Its token type ids. */
  readonly types: readonly number[]
}
const copied: Record<string, { max_len: number; first: Example[] }> = JSON.parse(
  readFileSync(join(fixtures, "tokenization.json"), "utf8"),
)

let tokenizer: WordPieceTokenizer
beforeAll(async () => {
  tokenizer = tokenizerOf(await Effect.runPromise(readVocabulary(join(fixtures, "vocab.txt"))))
})

describe("BERT's uncased vocabulary", () => {
  test.each(Object.entries(copied))("%s: ids and types of the first examples", (_, { max_len, first }) => {
    for (const { texts, ids, types } of first) {
      const encoded = tokenizer.encode(texts[0], texts[1], max_len)
      expect([...encoded.ids]).toEqual([...ids])
      expect([...encoded.tokenTypeIds]).toEqual([...types])
    }
  })

  const reference = join(shared, "fixtures/tokenization.json")
  describe.skipIf(!existsSync(reference))("on whole data sets", () => {
    const sets: [string, { max_len: number; examples: number; tokens: number; sha256: string }][] =
      existsSync(reference) ? Object.entries(JSON.parse(readFileSync(reference, "utf8"))) : []
    const textsOf = (name: string): string[][] => {
      const lines = (path: string) =>
        readFileSync(join(shared, "data", path), "utf8")
          .trimEnd()
          .split("\n")
      if (name.startsWith("wiki-20k")) return lines("corpus/wiki-20k.txt").map((line) => [line])
      return lines(`glue/RTE/${name.startsWith("rte-dev") ? "dev" : "train"}.tsv`)
        .slice(1)
        .map((line) => line.split("\t").slice(1, 3))
    }
    test.each(sets)("%s: every id and type", (name, { max_len, examples, tokens, sha256 }) => {
      const texts = textsOf(name)
      const digest = createHash("sha256")
      let count = 0
      for (const [first, second] of texts) {
        const { ids, tokenTypeIds } = tokenizer.encode(first!, second, max_len)
        digest.update(`${ids.join(" ")}|${tokenTypeIds.join(" ")}\n`)
        count += ids.length
      }
      expect([texts.length, count, digest.digest("hex")]).toEqual([examples, tokens, sha256])
    })
  })

  test("text without words, and words that the vocabulary has no pieces for", () => {
    expect([...tokenizer.encode("", undefined, 8).ids]).toEqual([101, 102])
    expect([...tokenizer.encode("  \u200b ", "", 8).ids]).toEqual([101, 102, 102])
    expect([...tokenizer.encode("\u{1f9ea}", undefined, 8).ids]).toEqual([101, 100, 102])
    expect([...tokenizer.encode("a".repeat(101), undefined, 8).ids]).toEqual([101, 100, 102])
  })

  test("a maximum length that leaves no room for text is refused", () => {
    expect(() => tokenizer.encode("a", undefined, 2)).toThrow("maximum length of 2")
    expect(() => tokenizer.encode("a", "b", 4)).toThrow("maximum length of 4")
    expect(() => tokenizer.encode("a", "b", Number.NaN)).toThrow(RangeError)
    expect([...tokenizer.encode("a a", "b b", 5).tokenTypeIds]).toEqual([0, 0, 0, 1, 1])
  })
})

test("longestFirst gives the same as removing tokens one by one", () => {
  // From the longer one; on a tie from the first, unless it was the longer one at the start.
  const oneByOne = (first: number, second: number, room: number): [number, number] => {
    const start = { first, second }
    let [a, b] = [first, second]
    while (a + b > room) {
      if (a > b || (a === b && start.first <= start.second)) a--
      else b--
    }
    return [a, b]
  }
  for (let first = 0; first <= 12; first++) {
    for (let second = 0; second <= 12; second++) {
      for (let room = 2; room <= 25; room++) {
        expect(longestFirst(first, second, room)).toEqual(oneByOne(first, second, room))
      }
    }
  }
})

describe("vocabularies", () => {
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
  const read = (name: string, content: string | Uint8Array) =>
    withFolder(async (folder) => {
      const path = join(folder, name)
      await writeFile(path, content)
      return Effect.runPromise(
        Effect.match(readVocabulary(path), {
          onFailure: (error) => error.message.replaceAll(folder, ""),
          onSuccess: (vocabulary) => vocabulary,
        }),
      )
    })
  const json = (pieces: readonly string[], changes: object = {}) =>
    JSON.stringify({
      model: {
        type: "WordPiece",
        unk_token: "[UNK]",
        vocab: Object.fromEntries(pieces.map((p, id) => [p, id])),
      },
      normalizer: { type: "BertNormalizer", lowercase: true, strip_accents: null },
      pre_tokenizer: { type: "BertPreTokenizer" },
      ...changes,
    })

  test("special tokens are found by name, whatever their ids", async () => {
    const tokens = ["hello", "[SEP]", "[MASK]", "##s", "[PAD]", "[CLS]", "0", "[UNK]"]
    const expected = { tokens, special: { pad: 4, unknown: 7, cls: 5, separator: 1, mask: 2 } }
    expect(await read("vocab.txt", tokens.map((token) => `${token}\n`).join(""))).toEqual(expected)
    expect(await read("vocab.txt", tokens.join("\r\n"))).toEqual(expected)
    expect(await read("tokenizer.json", json(tokens))).toEqual(expected)
    const own = tokenizerOf(expected)
    expect([...own.encode("Hellos 0 [MASK] ?", undefined, 16).ids]).toEqual([5, 0, 3, 6, 2, 7, 1])
  })

  test("the vocab.txt and the tokenizer.json of a model are read alike", async () => {
    const path = join(shared, "data/vocab/bert-base-uncased.tokenizer.json")
    if (!existsSync(path)) return
    const [lines, pieces] = await Promise.all(
      [join(fixtures, "vocab.txt"), path].map((file) => Effect.runPromise(readVocabulary(file))),
    )
    expect(pieces).toEqual(lines!)
    expect(lines?.special).toEqual({ pad: 0, unknown: 100, cls: 101, separator: 102, mask: 103 })
  })

  test.each<[string, string, string | Uint8Array, string]>([
    [
      "a special token is missing",
      "vocab.txt",
      special.filter((p) => p !== "[MASK]").join("\n"),
      "[MASK] is not in this vocabulary of 4 tokens",
    ],
    [
      "a token twice",
      "vocab.txt",
      [...special, "a", "b", "a"].join("\n"),
      'the token "a" appears twice, with ids 5 and 7',
    ],
    [
      "not UTF-8",
      "vocab.txt",
      Uint8Array.from([...new TextEncoder().encode("[PAD]\n[UNK]\n"), 0xe9, 10]),
      "line 3 is not UTF-8",
    ],
    ["empty", "vocab.txt", "", "[PAD] is not in this vocabulary of 0 tokens"],
    ["not JSON", "tokenizer.json", "[PAD]", "it is not JSON"],
    [
      "byte-pair encoding",
      "tokenizer.json",
      json(special, { model: { type: "BPE", vocab: {}, merges: [] } }),
      "model.type",
    ],
    [
      "a cased vocabulary",
      "tokenizer.json",
      json(special, { normalizer: { type: "BertNormalizer", lowercase: false } }),
      "normalizer.lowercase",
    ],
    [
      "an id that is too large",
      "tokenizer.json",
      json(special, { model: { vocab: { "[PAD]": 7 } } }),
      "the id 7 of",
    ],
    [
      "an added token outside the vocabulary",
      "tokenizer.json",
      json(special, { added_tokens: [{ id: 5, content: "[NEW]" }] }),
      '"[NEW]" has id 5',
    ],
  ])("refused: %s", async (_, name, content, message) => {
    expect(await read(name, content)).toContain(message)
  })
})
