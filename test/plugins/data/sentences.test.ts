import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { sentences } from "../../../plugins/data/sentences.ts"
import {
  digestOf,
  estimate,
  haveShared,
  refusal,
  run,
  shared,
  vocabularyNode,
  withFiles,
  wordsOf,
} from "./running.ts"

interface Settings {
  readonly maxLength?: number
  readonly limit?: number
}
const of = (source: string, settings: Settings = {}) =>
  sentences({ vocabulary: vocabularyNode, source, ...settings })
const text = "The dog saw it.\n\n  \nA café, two cafés.\r\nNo end"
const words = ["[CLS] the dog saw it . [SEP]", "[CLS] a cafe , two cafes . [SEP]", "[CLS] no end [SEP]"]

describe("a corpus", () => {
  test("has one sentence per line; blank lines are skipped", async () => {
    await withFiles({ "c.txt": text }, async (folder) => {
      const { sequences, special, vocabularySize } = await run(of(join(folder, "c.txt")))
      expect(wordsOf(sequences)).toEqual(words)
      expect(sequences.tokenTypeIds.every((type) => type === 0)).toBe(true)
      expect([special.mask, vocabularySize]).toEqual([103, 30522])
    })
  })

  test("may be gzipped, also in several members", async () => {
    const twice = Buffer.concat([gzipSync(text), gzipSync("\nOne more.\n")])
    await withFiles({ "c.txt.gz": gzipSync(text), "twice.gz": twice }, async (folder) => {
      expect(wordsOf((await run(of(join(folder, "c.txt.gz")))).sequences)).toEqual(words)
      const { sequences } = await run(of(join(folder, "twice.gz")))
      expect(wordsOf(sequences)).toEqual([...words, "[CLS] one more . [SEP]"])
    })
  })

  test("maxLength truncates longer sentences; limit takes the first ones", async () => {
    await withFiles({ "c.txt": text }, async (folder) => {
      const path = join(folder, "c.txt")
      expect(wordsOf((await run(of(path, { maxLength: 4 }))).sequences)).toEqual([
        "[CLS] the dog [SEP]",
        "[CLS] a cafe [SEP]",
        "[CLS] no end [SEP]",
      ])
      expect(wordsOf((await run(of(path, { limit: 2 }))).sequences)).toEqual(words.slice(0, 2))
      expect(wordsOf((await run(of(path, { limit: 9 }))).sequences)).toEqual(words)
    })
    expect(of("c.txt").options).toEqual({ source: "c.txt", maxLength: 32 })
    expect(of("c.txt", { maxLength: 513 }).problems[0]).toContain("maxLength must be at most 512")
  })

  test("lines and characters may span the chunks in which a file is read", async () => {
    const lines = Array.from({ length: 3000 }, (_, i) => `${"é".repeat(i % 30)} ${i} naïve 東京`)
    await withFiles({ "c.txt": lines.join("\n"), "c.gz": gzipSync(lines.join("\n")) }, async (folder) => {
      const plain = await run(of(join(folder, "c.txt"), { maxLength: 128 }))
      expect(wordsOf(plain.sequences).length).toBe(3000)
      expect(wordsOf(plain.sequences)[1234]).toContain("naive 東 京 [SEP]")
      expect(await run(of(join(folder, "c.gz"), { maxLength: 128 }))).toEqual(plain)
    })
  })

  test("reports progress, in bytes or up to the limit", async () => {
    const seen: (readonly [number, number])[] = []
    await withFiles({ "c.txt": "A dog.\n".repeat(30_000) }, async (folder) => {
      await run(of(join(folder, "c.txt")), undefined, (done, total) => seen.push([done, total]))
      expect(seen.length).toBeGreaterThan(2)
      expect(seen.at(-1)).toEqual([210_000, 210_000])
      seen.length = 0
      await run(of(join(folder, "c.txt"), { limit: 100 }), undefined, (done, total) =>
        seen.push([done, total]),
      )
      expect(seen).toEqual([[100, 100]])
    })
  })

  test.skipIf(!haveShared)(
    "the real one, at most 32 tokens a sentence: equals the output of Hugging Face's tokenizers and fits the estimate",
    async () => {
      const reference = JSON.parse(readFileSync(shared("fixtures", "tokenization.json"), "utf8"))
      const node = of(shared("data", "corpus", "wiki-20k.txt"))
      const { sequences } = await run(node)
      expect(digestOf(sequences)).toBe(reference["wiki-20k-32"].sha256)
      const { artifact, cost } = estimate(node)
      const { sentences: count, tokensPerSentence } = artifact as {
        sentences: number
        tokensPerSentence: number
      }
      expect(Math.abs(count / 20_000 - 1)).toBeLessThan(0.02)
      expect(Math.abs((count * tokensPerSentence) / sequences.ids.length - 1)).toBeLessThan(0.02)
      expect(Math.abs(cost.disk / (8 * sequences.ids.length + 80_000) - 1)).toBeLessThan(0.02)
    },
  )

  test("its size is estimated from the file's size or the limit", async () => {
    await withFiles({ "c.txt": "x".repeat(14_000), "c.gz": "x".repeat(5900) }, async (folder) => {
      const count = (node: ReturnType<typeof of>) =>
        (estimate(node).artifact as { sentences: number }).sentences
      expect(count(of(join(folder, "c.txt")))).toBe(100)
      expect(count(of(join(folder, "c.gz")))).toBe(100)
      expect(count(of(join(folder, "c.txt"), { limit: 7 }))).toBe(7)
      expect(count(of("hf://datasets/owner/name/corpus.txt"))).toBe(1_000_000)
    })
  })
})

describe("a corpus is refused", () => {
  const compressed = gzipSync(Array.from({ length: 2000 }, (_, i) => `Sentence ${i} of ${i * i}.\n`).join(""))
  const damaged = Buffer.from(compressed)
  damaged.fill(0, damaged.length - 8, damaged.length - 4) // the checksum at the end
  const latin = Buffer.from("One.\ncaf\xe9\nThree.\n", "latin1")

  test.each([
    ["c.txt", "", "it has no sentences"],
    ["c.txt", "\n \n\t\n", "it has no sentences"],
    ["c.txt", latin, "line 2 is not UTF-8. Convert it to UTF-8"],
    ["c.txt", Buffer.from("One.\ncaf\xe9", "latin1"), "line 2 is not UTF-8"],
    ["c.txt", compressed, "is not UTF-8"],
    [
      "c.txt",
      `One.\n${"a ".repeat(40_000)}\n`,
      "line 2 has more than 65536 bytes. Put each sentence on a line of its own",
    ],
    ["c.txt", `One.\n${"a ".repeat(400_000)}`, "line 2 has more than 65536 bytes"],
    ["c.gz", compressed.subarray(0, compressed.length / 2), "its gzip data are cut off somewhere after line"],
    ["c.gz", compressed.subarray(0, compressed.length - 3), "its gzip data are cut off somewhere after line"],
    ["c.gz", damaged, "its gzip data are damaged somewhere after line"],
    ["c.gz", "One.\nTwo.\n", "its gzip data are damaged somewhere after line 0"],
    ["c.gz", gzipSync(latin), "line 2 is not UTF-8"],
    ["c.gz", gzipSync("x".repeat(50_000_000)), "line 1 has more than 65536 bytes"],
  ])("%s (%#)", async (name, content, expected) => {
    await withFiles({ [name]: content }, async (folder) => {
      const message = await refusal(of(join(folder, name)))
      expect(message.startsWith(`cannot read ${join(folder, name)}: `)).toBe(true)
      expect(message).toContain(expected)
    })
  })

  test("that is missing, or is a folder", async () => {
    await withFiles({}, async (folder) => {
      expect(await refusal(of(join(folder, "c.txt")))).toBe(
        `cannot read ${join(folder, "c.txt")}: there is no such file or folder`,
      )
      expect(await refusal(of(folder))).toContain("expected a file, found a folder")
    })
  })
})
