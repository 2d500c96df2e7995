import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { vocabulary } from "../../../plugins/data/vocabulary.ts"
import { bertVocabulary, fixture, refusal, run, withFiles, withHub } from "./running.ts"

const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

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
      'expected an uncased vocabulary, since all text is lower-cased; found the token "Dog"',
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

  test("on the hub must be given as a file, checked when the pipeline is built", () => {
    expect(vocabulary({ source: "hf://google-bert/bert-base-uncased/vocab.txt" }).problems).toEqual([])
    const { problems } = vocabulary({ source: "hf://google-bert/bert-base-uncased" })
    expect(problems[0]).toContain("source must be a file: hf://owner/name/file")
    expect(vocabulary({ source: "hf://../x" }).problems[0]).toContain("source must be hf://owner/name")
  })
})
