/** What a plan refuses of files that runs could not start from, in the words of each reader. */
import { describe, expect, test } from "bun:test"
import { copyFileSync, cpSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { Effect } from "effect"
import type { Node, PluginError } from "../../../core/api/plugin.ts"
import { Progress } from "../../../core/api/progress.ts"
import { cola } from "../../../plugins/data/cola.ts"
import { mnli } from "../../../plugins/data/mnli.ts"
import { rte } from "../../../plugins/data/rte.ts"
import { sentences } from "../../../plugins/data/sentences.ts"
import { readTsv } from "../../../plugins/data/shared/tsv.ts"
import { sst2 } from "../../../plugins/data/sst2.ts"
import { sts } from "../../../plugins/data/sts.ts"
import { table } from "../../../plugins/data/table.ts"
import { vocabulary } from "../../../plugins/data/vocabulary.ts"
import { pretrained } from "../../../plugins/pretrain/pretrained.ts"
import { fixture, vocabularyNode, withFiles } from "./running.ts"

type Check = (options: unknown) => Effect.Effect<void, PluginError, Progress>

const checkOf = ({ plugin, options, problems }: Node) => {
  expect(problems).toEqual([])
  const check = plugin.checkFiles as unknown as Check
  return Effect.provideService(check(options), Progress, Progress.of({ report: () => Effect.void }))
}
const passes = (node: Node) => Effect.runPromise(checkOf(node))
const refusal = async (node: Node) => (await Effect.runPromise(Effect.flip(checkOf(node)))).message

const glue = (task: string) => fixture("glue", task)

describe("a task of GLUE", () => {
  test("passes on its own files, in both layouts", async () => {
    await passes(rte({ source: fixture("rte-sample"), vocabulary: vocabularyNode }))
    for (const [task, name] of [
      [sst2, "sst2"],
      [cola, "cola"],
      [mnli, "mnli"],
    ] as const) {
      await passes(task({ source: glue(name), vocabulary: vocabularyNode }))
    }
  })

  test("refuses the files of another task by the columns that they lack", async () => {
    await withFiles({}, async (folder) => {
      writeFileSync(join(folder, "train.tsv"), "sentence\tlabel\nA fine film.\t1\n")
      writeFileSync(join(folder, "dev.tsv"), "sentence\tlabel\nA dull film.\t0\n")
      await passes(sst2({ source: folder, vocabulary: vocabularyNode }))
      const message = await refusal(rte({ source: folder, vocabulary: vocabularyNode }))
      expect(message).toContain(join(folder, "train.tsv"))
      expect(message).toContain("line 1: expected a header with the columns sentence1, sentence2, label")
      expect(message).toContain('found "sentence, label"')
    })
  })

  test("refuses labels that are not the task's, with their line", async () => {
    await withFiles({}, async (folder) => {
      const rows = "index\tsentence1\tsentence2\tlabel\n0\tA b.\tA.\tentailment\n1\tA.\tB.\tneutral\n"
      writeFileSync(join(folder, "train.tsv"), rows)
      writeFileSync(join(folder, "dev.tsv"), rows)
      expect(await refusal(rte({ source: folder, vocabulary: vocabularyNode }))).toContain(
        'line 3: expected the label to be one of entailment, not_entailment, found "neutral"',
      )
    })
  })

  test("refuses more training examples than there are", async () => {
    const source = fixture("rte-sample")
    const rows = readFileSync(join(source, "train.tsv"), "utf8").trimEnd().split("\n").length - 1
    await passes(rte({ source, trainExamples: rows, vocabulary: vocabularyNode }))
    expect(await refusal(rte({ source, trainExamples: rows + 1, vocabulary: vocabularyNode }))).toContain(
      `expected at most ${rows}, which is all of the train split, found ${rows + 1}`,
    )
  })

  test("counts the examples of a file of which it reads the start alone", async () => {
    await withFiles({}, async (folder) => {
      const row = (i: number) => `${i}\tOne.\tTwo.\tentailment\n`
      const all = Array.from({ length: 100_001 }, (_, i) => row(i)).join("")
      writeFileSync(join(folder, "train.tsv"), `index\tsentence1\tsentence2\tlabel\n${all}broken\n`)
      copyFileSync(fixture("rte-sample", "dev.tsv"), join(folder, "dev.tsv"))
      const checked = (trainExamples: number) =>
        rte({ source: folder, trainExamples, vocabulary: vocabularyNode })
      await passes(checked(100_001))
      expect(await refusal(checked(100_003))).toContain("expected at most 100002")
    })
  })
})

describe("a table", () => {
  const checked = (train: string) =>
    table({ train, sentences: ["text"], label: "tone", vocabulary: vocabularyNode })

  test.each([
    ["a.csv", "text,tone\none,x\ntwo,y\n", undefined],
    ["a.csv", "text,label\none,x\n", 'expected a header with the columns text, tone, found "text, label"'],
    [
      "a.jsonl",
      '{"text":"one","tone":"x"}\n{"text":"two"}\n',
      "line 2: expected the keys text, tone, found text",
    ],
    [
      "a.jsonl",
      '{"text":7,"tone":"x"}\n{"text":"two","tone":"y"}\n',
      'line 1: expected text as text, found "7"',
    ],
    ["a.tsv", "text\ttone\none\tx\n", 'column tone: expected at least two classes, found only "x"'],
    ["a.tsv", "", "it is empty"],
  ])("%s with %j", async (name, content, expected) => {
    await withFiles({ [name]: content }, async (folder) => {
      const node = checked(join(folder, name))
      if (expected === undefined) await passes(node)
      else expect(await refusal(node)).toContain(expected)
    })
  })

  test("that is sorted by its classes is not refused for those of its start", async () => {
    const rows = Array.from({ length: 100_010 }, (_, i) => `t\t${i < 100_005 ? "x" : "y"}\n`).join("")
    await withFiles({ "a.tsv": `text\ttone\n${rows}` }, (folder) => passes(checked(join(folder, "a.tsv"))))
  })
})

test("a corpus without sentences, or that is no text, is refused", async () => {
  const of = (source: string) => sentences({ source, vocabulary: vocabularyNode })
  const files = {
    "good.txt": "\n\nOne.\n",
    "none.txt": "\n \n\t\n",
    "latin.txt": new Uint8Array([65, 10, 0xe9, 10]),
    "cut.txt.gz": gzipSync("One sentence.\n".repeat(1000)).subarray(0, 40),
  }
  await withFiles(files, async (folder) => {
    await passes(of(join(folder, "good.txt")))
    expect(await refusal(of(join(folder, "none.txt")))).toContain("none.txt: it has no sentences")
    expect(await refusal(of(join(folder, "latin.txt")))).toContain("line 2 is not UTF-8")
    expect(await refusal(of(join(folder, "cut.txt.gz")))).toContain("its gzip data are cut off")
  })
})

test("a vocabulary without a special token is refused", async () => {
  const lines = readFileSync(fixture("vocab.txt"), "utf8").replace("[CLS]\n", "[CLX]\n")
  await withFiles({ "vocab.txt": lines }, async (folder) => {
    expect(await refusal(vocabulary({ source: join(folder, "vocab.txt") }))).toContain(
      "[CLS] is not in this vocabulary of 30522 tokens",
    )
    await passes(vocabulary({ source: fixture("vocab.txt") }))
  })
})

test("more tokens than a vocabulary has, and more rows than a table has, are refused with the number", async () => {
  const files = {
    "vocab.txt": "a\n".repeat(1_000_001),
    "a.tsv": `text\ttone\n${"a\tb\n".repeat(1_000_001)}`,
  }
  await withFiles(files, async (folder) => {
    expect(await refusal(vocabulary({ source: join(folder, "vocab.txt") }))).toContain(
      "expected at most 1000000 tokens, found more",
    )
    const whole = Effect.flip(readTsv(join(folder, "a.tsv"), { columns: ["text", "tone"], header: true }))
    expect((await Effect.runPromise(whole)).message).toContain("expected at most 1000000 rows, found more")
  })
})

test("a benchmark of similarity whose scores are fewer than its sentences is refused", async () => {
  const subsets = ["FNWN", "headlines", "OnWN"]
  const files = Object.fromEntries(
    subsets.flatMap((name) => [
      [`STS.input.${name}.txt`, "One.\tTwo.\nThree.\tFour.\n"],
      [`STS.gs.${name}.txt`, name === "OnWN" ? "3\n" : "3\n4\n"],
    ]),
  )
  await withFiles(files, async (folder) => {
    expect(await refusal(sts({ benchmark: "STS13", source: folder, vocabulary: vocabularyNode }))).toContain(
      "STS.gs.OnWN.txt: expected 2 lines, as in STS.input.OnWN.txt, found 1",
    )
  })
})

describe("a model's folder", () => {
  const size = { layers: 2, hidden: 32, heads: 2, intermediate: 64 }
  const config = () => JSON.parse(readFileSync(fixture("bert-2x32", "config.json"), "utf8"))
  const sizes = { vocabularySize: config().vocab_size, positions: config().max_position_embeddings }
  const withModel = (body: (folder: string) => Promise<void>) =>
    withFiles({}, async (folder) => {
      cpSync(fixture("bert-2x32"), folder, { recursive: true })
      await body(folder)
    })
  const model = (source: string, options: Partial<Parameters<typeof pretrained>[0]> = {}) =>
    pretrained({ source, size: { ...size, ...intermediate() }, ...sizes, ...options })
  const intermediate = () => ({
    intermediate: config().intermediate_size,
    heads: config().num_attention_heads,
  })

  test("passes if config.json, weights and options agree", async () => {
    await passes(model(fixture("bert-2x32")))
  })

  test("is refused if the options or the weights contradict config.json", async () => {
    expect(await refusal(model(fixture("bert-2x32"), { positions: 7 }))).toContain("max_position_embeddings")
    await withModel(async (folder) => {
      writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config(), num_hidden_layers: 3 }))
      expect(await refusal(model(folder))).toContain("bert.encoder.layer.2.")
    })
  })

  test("is refused if its weights are cut off", async () => {
    await withModel(async (folder) => {
      const weights = readFileSync(join(folder, "model.safetensors"))
      writeFileSync(join(folder, "model.safetensors"), weights.subarray(0, weights.length - 8))
      expect(await refusal(model(folder))).toContain("was the download cut off?")
    })
  })
})
