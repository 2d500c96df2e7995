import { expect, test } from "bun:test"
import { join } from "node:path"
import { templateData } from "../../../plugins/template/data.ts"
import { refusal, run, vocabularyNode, withFiles, wordsOf } from "../data/running.ts"

const node = (folder: string, options: { readonly maxLength?: number } = {}) => {
  const files = { train: join(folder, "train.jsonl"), dev: join(folder, "dev.jsonl") }
  const given = { ...files, labels: ["no", "yes"], ...options }
  return templateData({ vocabulary: vocabularyNode, ...given })
}

const dev = '{"text": "Two dogs ran away.", "label": "yes"}'

test("takes the texts and labels of every line and ignores other keys", () => {
  const train =
    '{"text": "A cat sat.", "label": "yes", "id": 1}\n\n{"text": "A cat.", "second": "Dogs.", "label": "no"}'
  return withFiles({ "train.jsonl": train, "dev.jsonl": dev }, async (folder) => {
    const examples = await run(node(folder))
    expect(wordsOf(examples.train.sequences)).toEqual([
      "[CLS] a cat sat . [SEP]",
      "[CLS] a cat . [SEP] dogs . [SEP]",
    ])
    expect([...examples.train.labels, ...examples.dev.labels]).toEqual([1, 0, 1])
    expect(wordsOf(examples.dev.sequences)).toEqual(["[CLS] two dogs ran away . [SEP]"])
    expect([examples.labelNames, examples.vocabularySize]).toEqual([["no", "yes"], 30522])
    const short = await run(node(folder, { maxLength: 5 }))
    expect(wordsOf(short.dev.sequences)).toEqual(["[CLS] two dogs ran [SEP]"])
  })
})

test("a line that is not JSON or lacks a text or label is refused with its number", async () => {
  for (const line of [
    "{",
    '{"label": "no"}',
    '{"text": "", "label": "no"}',
    '{"text": "a", "label": "maybe"}',
  ]) {
    const train = `{"text": "a", "label": "no"}\n${line}\n`
    await withFiles({ "train.jsonl": train, "dev.jsonl": dev }, async (folder) => {
      const message = await refusal(node(folder))
      expect(message).toContain("train.jsonl")
      expect(message).toContain("line 2:")
    })
  }
})

test("a file that is missing or has no examples is refused", async () => {
  await withFiles({ "dev.jsonl": dev }, async (folder) =>
    expect(await refusal(node(folder))).toContain("there is no such file"),
  )
  await withFiles({ "train.jsonl": "\n", "dev.jsonl": dev }, async (folder) =>
    expect(await refusal(node(folder))).toContain("it has no examples"),
  )
})
