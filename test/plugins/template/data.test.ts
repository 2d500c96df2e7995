import { expect, test } from "bun:test"
import { join } from "node:path"
import { templateData } from "../../../plugins/template/data.ts"
import { refusal, run, vocabularyNode, withFiles, wordsOf } from "../data/running.ts"

const node = (folder: string, options: { readonly maxLength?: number } = {}) => {
  const source = join(folder, "text.jsonl")
  return templateData({ source, vocabulary: vocabularyNode, ...options })
}

test("takes the text of every line and ignores other keys", () =>
  withFiles(
    { "text.jsonl": '{"text": "A cat sat.", "id": 1}\n\n{"text": "Two dogs ran away."}' },
    async (folder) => {
      const { sequences, vocabularySize } = await run(node(folder))
      expect(wordsOf(sequences)).toEqual(["[CLS] a cat sat . [SEP]", "[CLS] two dogs ran away . [SEP]"])
      expect(vocabularySize).toBe(30522)
      const { sequences: short } = await run(node(folder, { maxLength: 4 }))
      expect(wordsOf(short)).toEqual(["[CLS] a cat [SEP]", "[CLS] two dogs [SEP]"])
    },
  ))

test("a line that is not JSON or has no text is refused with its number", async () => {
  for (const line of ["{", '{"body": "a"}', '{"text": ""}', '"a"']) {
    await withFiles({ "text.jsonl": `{"text": "a"}\n${line}\n` }, async (folder) => {
      expect(await refusal(node(folder))).toContain("text.jsonl, line 2:")
    })
  }
})

test("a file that is missing or has no sentences is refused", async () => {
  await withFiles({}, async (folder) =>
    expect(await refusal(node(folder))).toContain("there is no such file"),
  )
  await withFiles({ "text.jsonl": "\n" }, async (folder) =>
    expect(await refusal(node(folder))).toContain("it has no sentences"),
  )
})
