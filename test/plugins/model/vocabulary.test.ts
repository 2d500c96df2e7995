import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { Vocabulary } from "../../../core/artifacts/vocabulary.ts"
import { readVocabulary, vocabularyDifference, writeTokenizer } from "../../../plugins/model/vocabulary.ts"
import { withFolder } from "./tiny-model.ts"

const path = (name: string) => join(import.meta.dir, "../../fixtures/tokenizers", `${name}.json`)
const read = (name: string) => Effect.runPromise(readVocabulary(path(name)))
const [bytePair, cased] = [await read("byte-level-bpe"), await read("cased-word-piece")]
const uncased: Vocabulary = { tokens: cased.tokens, special: cased.special }

const differenceFrom = (vocabulary: Vocabulary, folder: string) =>
  Effect.runPromise(vocabularyDifference(vocabulary, folder))

/** The parts of a tokenizer.json that the tests change. */
interface Parts {
  readonly normalizer: { strip_accents: boolean }
  readonly model: { merges: (string | string[])[] }
  readonly added_tokens: { lstrip: boolean }[]
  readonly post_processor: { type: string }
  truncation: object
}

/** The content of a tokenizer.json after a change. */
const changed = (name: string, change: (json: Parts) => void): string => {
  const json: Parts = JSON.parse(readFileSync(path(name), "utf8"))
  change(json)
  return JSON.stringify(json)
}

describe("a tokenizer", () => {
  test.each<[string, Vocabulary, readonly string[]]>([
    ["byte-level BPE", bytePair, ["tokenizer.json", "tokenizer_config.json"]],
    ["cased WordPiece", cased, ["tokenizer.json", "tokenizer_config.json"]],
    ["uncased WordPiece", uncased, ["vocab.txt"]],
  ])("that is written is read back: %s", (_, vocabulary, files) =>
    withFolder(async (folder) => {
      await Effect.runPromise(writeTokenizer(folder, vocabulary))
      expect(readdirSync(folder).sort()).toEqual([...files])
      expect(await Effect.runPromise(readVocabulary(join(folder, files[0]!)))).toEqual(vocabulary)
      expect(await differenceFrom(vocabulary, folder)).toBeUndefined()
    }),
  )
})

describe("a vocabulary is not the checkpoint's", () => {
  test("if a token differs", () =>
    withFolder(async (folder) => {
      const tokens = uncased.tokens.map((token, id) => (id === 9 ? "else" : token))
      await Effect.runPromise(writeTokenizer(folder, { ...uncased, tokens }))
      const shown = JSON.stringify(uncased.tokens[9])
      expect(await differenceFrom(uncased, folder)).toBe(
        `token 9 is ${shown}, but "else" on line 10 of ${join(folder, "vocab.txt")}`,
      )
      await writeFile(join(folder, "tokenizer.json"), readFileSync(path("byte-level-bpe")))
      expect(await differenceFrom(cased, folder)).toBe(
        `token 0 is "[PAD]", but "<s>" in ${join(folder, "tokenizer.json")}`,
      )
    }))

  test.each<[string, string, Vocabulary, (json: Parts) => void]>([
    [
      "normalizer",
      "cased-word-piece",
      cased,
      (json) => {
        json.normalizer.strip_accents = true
      },
    ],
    ["the tokenizer", "cased-word-piece", uncased, () => undefined],
    [
      "model",
      "byte-level-bpe",
      bytePair,
      (json) => {
        json.model.merges.reverse()
      },
    ],
    [
      "added_tokens",
      "byte-level-bpe",
      bytePair,
      (json) => {
        json.added_tokens[4]!.lstrip = false
      },
    ],
    [
      "post_processor",
      "byte-level-bpe",
      bytePair,
      (json) => {
        json.post_processor.type = "BertProcessing"
      },
    ],
  ])("if its tokens are the same, but the %s of %s is not", (part, name, vocabulary, change) =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "tokenizer.json"), changed(name, change))
      expect(await differenceFrom(vocabulary, folder)).toBe(
        `its tokens are the same, but ${part} differs in ${join(folder, "tokenizer.json")}`,
      )
    }),
  )

  test("but it is if only the way the file is written differs", () =>
    withFolder(async (folder) => {
      const pairs = changed("byte-level-bpe", (json) => {
        json.model.merges = json.model.merges.map((merge) =>
          typeof merge === "string" ? merge.split(" ") : merge.join(" "),
        )
        json.truncation = { max_length: 128, strategy: "LongestFirst", stride: 0, direction: "Right" }
      })
      await writeFile(join(folder, "tokenizer.json"), pairs)
      expect(await differenceFrom(bytePair, folder)).toBeUndefined()
    }))

  test("and a checkpoint without a tokenizer cannot tell", () =>
    withFolder(async (folder) => {
      expect(await differenceFrom(cased, folder)).toBeUndefined()
    }))
})
