import { beforeAll, describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { longestFirst, type TextTokenizer, tokenizerOf } from "../../../plugins/model/tokenizer.ts"
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

let tokenizer: TextTokenizer
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

describe("a tokenizer.json, beside Python's tokenizers", () => {
  interface Figures {
    readonly cases: readonly {
      readonly texts: readonly [string, string?]
      readonly max_len: number
      readonly ids: readonly number[]
      readonly types: readonly number[]
    }[]
    readonly sets: Readonly<
      Record<
        string,
        {
          readonly max_len: number
          readonly examples: number
          readonly tokens: number
          readonly sha256: string
        }
      >
    >
  }
  const figures: Readonly<Record<string, Figures>> = JSON.parse(
    readFileSync(join(fixtures, "tokenizers/expected.json"), "utf8"),
  )
  const read = (name: string) =>
    Effect.runPromise(readVocabulary(join(fixtures, "tokenizers", `${name}.json`)))

  test.each(Object.entries(figures))(
    "%s: every sentence and pair, with rare characters, spaces and special tokens in the text",
    async (name, { cases }) => {
      const own = tokenizerOf(await read(name))
      expect(cases.length).toBeGreaterThan(200)
      for (const { texts, max_len, ids, types } of cases) {
        const encoded = own.encode(texts[0], texts[1], max_len)
        expect([texts, ...encoded.ids]).toEqual([texts, ...ids])
        expect([texts, ...encoded.tokenTypeIds]).toEqual([texts, ...types])
      }
    },
  )

  test("RoBERTa's has its own special tokens and template, a cased one BERT's", async () => {
    const roberta = await read("byte-level-bpe")
    expect(roberta.special).toEqual({ pad: 1, unknown: 3, cls: 0, separator: 2, mask: 4 })
    const pair = tokenizerOf(roberta).encode("a", "b", 9)
    const [a, b] = ["a", "b"].map((letter) => roberta.tokens.indexOf(letter))
    expect([...pair.ids]).toEqual([0, a!, 2, 2, b!, 2])
    expect([...pair.tokenTypeIds]).toEqual([0, 0, 0, 0, 0, 0])
    // Four special tokens, and a token of each text.
    expect(() => tokenizerOf(roberta).encode("a", "b", 5)).toThrow("maximum length of 5")

    const cased = await read("cased-word-piece")
    expect(cased.special).toEqual({ pad: 0, unknown: 1, cls: 2, separator: 3, mask: 4 })
    const [upper, lower] = ["The", "the"].map((word) => [
      ...tokenizerOf(cased).encode(word, undefined, 9).ids,
    ])
    expect(upper).not.toEqual(lower!)
  })

  const data = join(shared, "data/glue/RTE/dev.tsv")
  const lines = (path: string) =>
    readFileSync(join(shared, "data", path), "utf8")
      .trimEnd()
      .split("\n")
  const textsOf = (set: string): string[][] =>
    set === "wiki-20k"
      ? lines("corpus/wiki-20k.txt").map((line) => [line])
      : lines(`glue/RTE/${set.startsWith("rte-dev") ? "dev" : "train"}.tsv`)
          .slice(1)
          .map((line) => line.split("\t").slice(1, 3))
  const sets = Object.entries(figures).flatMap(([name, { sets }]) =>
    Object.entries(sets).map(([set, figure]) => [name, set, figure] as const),
  )
  test.skipIf(!existsSync(data)).each(sets)(
    "%s: every id and type of %s",
    async (name, set, { max_len, ...expected }) => {
      const own = tokenizerOf(await read(name))
      const digest = createHash("sha256")
      const texts = textsOf(set)
      let tokens = 0
      for (const [first, second] of texts) {
        const { ids, tokenTypeIds } = own.encode(first!, second, max_len)
        digest.update(`${ids.join(" ")}|${tokenTypeIds.join(" ")}\n`)
        tokens += ids.length
      }
      expect({ examples: texts.length, tokens, sha256: digest.digest("hex") }).toEqual(expected)
    },
    30_000,
  )
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

  const bytePair = {
    model: { type: "BPE", vocab: Object.fromEntries(special.map((p, id) => [p, id])), merges: [] },
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false },
    post_processor: { type: "RobertaProcessing", cls: ["[CLS]", 2], sep: ["[SEP]", 3] },
  }

  test("special tokens are found by name, whatever their ids", async () => {
    const tokens = ["hello", "[SEP]", "[MASK]", "##s", "[PAD]", "[CLS]", "0", "[UNK]"]
    const expected = { tokens, special: { pad: 4, unknown: 7, cls: 5, separator: 1, mask: 2 } }
    expect(await read("vocab.txt", tokens.map((token) => `${token}\n`).join(""))).toEqual(expected)
    expect(await read("vocab.txt", tokens.join("\r\n"))).toEqual(expected)
    expect(await read("tokenizer.json", json(tokens))).toEqual(expected)
    const own = tokenizerOf(expected)
    expect([...own.encode("Hellos 0 [MASK] ?", undefined, 16).ids]).toEqual([5, 0, 3, 6, 2, 7, 1])
  })

  test("added tokens are whole, and may follow the vocabulary", async () => {
    const added = json(special, { added_tokens: [{ id: 5, content: "[NEW]" }] })
    const vocabulary = await read("tokenizer.json", added)
    if (typeof vocabulary === "string") throw new Error(vocabulary)
    expect(vocabulary.tokens).toEqual([...special, "[NEW]"])
    expect([...tokenizerOf(vocabulary).encode("[NEW] [new]", undefined, 9).ids]).toEqual([2, 5, 1, 1, 1, 3])
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
      "a model that is neither WordPiece nor BPE",
      "tokenizer.json",
      json(special, { model: { type: "Unigram", vocab: [] } }),
      'model.type must be "BPE" or "WordPiece"',
    ],
    [
      "another normaliser",
      "tokenizer.json",
      json(special, { normalizer: { type: "NFC" } }),
      "normalizer.type",
    ],
    [
      "BPE that is not byte-level",
      "tokenizer.json",
      json(special, { ...bytePair, pre_tokenizer: { type: "Whitespace" } }),
      'pre_tokenizer.type must be "ByteLevel"',
    ],
    [
      "BPE with a space before each text",
      "tokenizer.json",
      json(special, { ...bytePair, pre_tokenizer: { type: "ByteLevel", add_prefix_space: true } }),
      "pre_tokenizer.add_prefix_space must be false",
    ],
    [
      "BPE without a template",
      "tokenizer.json",
      json(special, { ...bytePair, post_processor: undefined }),
      "post_processor",
    ],
    [
      "a template that puts the second text first",
      "tokenizer.json",
      json(special, {
        post_processor: {
          type: "TemplateProcessing",
          single: [{ Sequence: { id: "A", type_id: 0 } }],
          pair: [{ Sequence: { id: "B", type_id: 0 } }, { Sequence: { id: "A", type_id: 1 } }],
          special_tokens: {},
        },
      }),
      "post_processor.pair must be a template with $A before $B",
    ],
    [
      "a template with a special token that is not defined",
      "tokenizer.json",
      json(special, {
        post_processor: {
          type: "TemplateProcessing",
          single: [{ SpecialToken: { id: "[CLS]", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
          pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
          special_tokens: {},
        },
      }),
      "special_tokens must be an object with [CLS]",
    ],
    [
      "a template with an id beyond the vocabulary",
      "tokenizer.json",
      json(special, { post_processor: { type: "BertProcessing", cls: ["[CLS]", 7], sep: ["[SEP]", 3] } }),
      "post_processor adds the id 7; expected ids below 5",
    ],
    [
      "BPE without RoBERTa's or BERT's special tokens",
      "tokenizer.json",
      json([], { ...bytePair, model: { type: "BPE", vocab: { a: 0, "<s>": 1, "</s>": 2 }, merges: [] } }),
      "<pad> is not in this vocabulary of 3 tokens",
    ],
    [
      "an id that is too large",
      "tokenizer.json",
      json(special, { model: { vocab: { "[PAD]": 7 } } }),
      "the id 7 of",
    ],
    [
      "an added token with two ids",
      "tokenizer.json",
      json(special, { added_tokens: [{ id: 5, content: "[SEP]" }] }),
      'the added token "[SEP]" has id 5; expected 3, its id in the vocabulary',
    ],
  ])("refused: %s", async (_, name, content, message) => {
    expect(await read(name, content)).toContain(message)
  })
})
