import { describe, expect, test } from "bun:test"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { sentences } from "../../../plugins/data/sentences.ts"
import { vocabulary } from "../../../plugins/data/vocabulary.ts"
import { bertVocabulary, fixture, refusal, run, vocabularyNode, withFiles, withHub } from "./running.ts"

const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

const readBy = vocabulary.reads as unknown as (options: { source: string }) => readonly string[]

describe("a vocabulary", () => {
  test("is read from a file", async () => {
    const found = await run(vocabulary({ source: fixture("vocab.txt") }))
    expect(found).toEqual(bertVocabulary)
    expect(found.tokens.length).toBe(30522)
    expect(found.special).toEqual({ pad: 0, unknown: 100, cls: 101, separator: 102, mask: 103 })
  })

  test("is downloaded from the hub", async () => {
    const tokens = [...special, "dog"]
    const content = new TextEncoder().encode(tokens.join("\n"))
    await withHub({ "owner/name/resolve/main/vocab.txt": content }, async () => {
      expect((await run(vocabulary({ source: "hf://owner/name/vocab.txt" }))).tokens).toEqual(tokens)
    })
  })

  test.each([
    ["without [MASK]", [...special.slice(0, 4), "dog"], "[MASK] is not in this vocabulary of 5 tokens"],
    [
      "with capitals",
      [...special, "dog", "Dog"],
      'expected an uncased vocabulary, since all text is lower-cased; found the token "Dog"; for a cased model, give its tokenizer.json',
    ],
    ["that is empty", [], "[PAD] is not in this vocabulary of 0 tokens"],
  ])("%s is refused", async (_, tokens, expected) => {
    await withFiles({ "vocab.txt": tokens.map((token) => `${token}\n`).join("") }, async (folder) => {
      const message = await refusal(vocabulary({ source: join(folder, "vocab.txt") }))
      expect(message).toContain(join(folder, "vocab.txt"))
      expect(message).toContain(expected)
    })
  })

  test("that is missing or not UTF-8 is refused", async () => {
    await withFiles({ "vocab.txt": Uint8Array.of(0x5b, 0x0a, 0xff, 0x0a) }, async (folder) => {
      expect(await refusal(vocabulary({ source: join(folder, "vocab.txt") }))).toContain(
        "line 2 is not UTF-8",
      )
      expect(await refusal(vocabulary({ source: join(folder, "no.txt") }))).toBe(
        `cannot read ${join(folder, "no.txt")}: there is no such file or folder`,
      )
    })
  })

  test("of a checkpoint is read from its folder: tokenizer.json if there is one, else vocab.txt", async () => {
    const lines = [...special, "dog"].map((token) => `${token}\n`).join("")
    const json = await readFile(fixture("tokenizers", "cased-word-piece.json"))
    await withFiles({ "vocab.txt": lines, "model.safetensors": "weights" }, async (folder) => {
      expect((await run(vocabulary({ source: folder }))).tokens).toEqual([...special, "dog"])
      expect(readBy({ source: folder })).toEqual([join(folder, "vocab.txt")])
      await writeFile(join(folder, "tokenizer.json"), json)
      const found = await run(vocabulary({ source: folder }))
      expect(found.tokens).toContain("The")
      expect(found.tokenizer).toMatchObject({ normalizer: { lowercase: false } })
      // Edited weights do not make a new vocabulary.
      expect(readBy({ source: folder })).toEqual([join(folder, "tokenizer.json")])
    })
    await withFiles({ "model.safetensors": "weights" }, async (folder) => {
      expect(await refusal(vocabulary({ source: folder }))).toBe(
        `cannot find the vocabulary in ${folder}: there is neither tokenizer.json nor vocab.txt`,
      )
    })
  })

  test("of a repository is downloaded: tokenizer.json if there is one, else vocab.txt", async () => {
    const json = await readFile(fixture("tokenizers", "byte-level-bpe.json"))
    const lines = new TextEncoder().encode([...special, "dog"].join("\n"))
    const files = {
      "owner/roberta/resolve/main/tokenizer.json": json,
      "owner/bert/resolve/main/vocab.txt": lines,
    }
    await withHub(files, async () => {
      expect((await run(vocabulary({ source: "hf://owner/roberta" }))).special.cls).toBe(0)
      expect((await run(vocabulary({ source: "hf://owner/bert" }))).tokens).toEqual([...special, "dog"])
    })
  })

  test("with a tokenizer of its own tokenises data as that does", async () => {
    const roberta = await run(vocabulary({ source: fixture("tokenizers", "byte-level-bpe.json") }))
    await withFiles({ "text.txt": "The harbour\n the harbour\n" }, async (folder) => {
      const node = sentences({ source: join(folder, "text.txt"), vocabulary: vocabularyNode })
      const { sequences, special, vocabularySize } = await run(node, roberta)
      const [first, second] = [0, 1].map((n) =>
        [...sequences.ids.subarray(sequences.offsets[n]!, sequences.offsets[n + 1]!)].map(
          (id) => roberta.tokens[id]!,
        ),
      )
      expect(first!.join("")).toBe("<s>TheĠharbour</s>")
      expect(second!.join("")).toBe("<s>ĠtheĠharbour</s>")
      expect(sequences.tokenTypeIds.every((type) => type === 0)).toBe(true)
      expect([special, vocabularySize]).toEqual([roberta.special, roberta.tokens.length])
    })
  })

  test("on the hub must be a model's repository or a file, checked when the pipeline is built", () => {
    expect(vocabulary({ source: "hf://google-bert/bert-base-uncased/vocab.txt" }).problems).toEqual([])
    expect(vocabulary({ source: "hf://google-bert/bert-base-uncased" }).problems).toEqual([])
    const { problems } = vocabulary({ source: "hf://datasets/owner/name" })
    expect(problems[0]).toContain("source must be a model's repository or a file: hf://owner/name")
    expect(vocabulary({ source: "hf://../x" }).problems[0]).toContain("source must be hf://owner/name")
  })
})
