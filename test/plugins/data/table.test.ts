import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { table } from "../../../plugins/data/table.ts"
import { estimate, fixture, refusal, run, vocabularyNode, withFiles, withHub, wordsOf } from "./running.ts"

type Settings = Omit<Parameters<typeof table>[0], "vocabulary">
const of = (settings: Settings) => table({ vocabulary: vocabularyNode, ...settings })
const pair = { sentences: ["premise", "hypothesis"] }

/** The same two rows in each format; the label is a number where the format has numbers. */
const inFormats = {
  "t.tsv": 'id\thypothesis\tpremise\tlabel\n1\tIt ran.\tA "dog, it ran.\t1\n2\tIt sat.\tA dog ran.\t0\n',
  "t.csv": 'id,hypothesis,premise,label\r\n1,It ran.,"A ""dog, it ran.",1\r\n2,It sat.,A dog ran.,0\r\n',
  "t.jsonl":
    '{"premise":"A \\"dog, it ran.","hypothesis":"It ran.","label":1,"id":1}\n\n{"hypothesis":"It sat.","premise":"A dog ran.","label":0}',
}
const words = ['[CLS] a " dog , it ran . [SEP] it ran . [SEP]', "[CLS] a dog ran . [SEP] it sat . [SEP]"]

describe("a table", () => {
  test.each(Object.keys(inFormats))("%s has its columns by name", (name) =>
    withFiles(inFormats, async (folder) => {
      const file = join(folder, name)
      const { labelNames, metrics, train, dev } = await run(of({ ...pair, train: file, dev: file }))
      expect([labelNames, metrics]).toEqual([["0", "1"], ["accuracy"]])
      expect(wordsOf(train.sequences)).toEqual(words)
      expect([...train.labels]).toEqual([1, 0])
      expect(dev).toEqual(train)
    }),
  )

  test("of parquet has its columns by name, and classes or scores", async () => {
    const [train, dev] = ["train", "validation"].map((split) => fixture("glue", "qnli", `${split}.parquet`))
    const classes = await run(of({ train: train!, dev: dev!, sentences: ["sentence"] }))
    expect(wordsOf(classes.train.sequences)).toEqual([
      "[CLS] the dog ran . [SEP]",
      "[CLS] it was cold . [SEP]",
    ])
    expect([classes.labelNames, [...classes.train.labels], [...classes.dev.labels]]).toEqual([
      ["0", "1"],
      [0, 1],
      [1],
    ])
    const stsb = { train: fixture("glue", "stsb", "train.parquet"), sentences: ["sentence1", "sentence2"] }
    const scores = await run(of({ ...stsb, dev: stsb.train, labels: "scores", range: [0, 5] }))
    expect([scores.labelNames, scores.metrics]).toEqual([null, ["pearson", "spearman"]])
    expect([...scores.train.labels]).toEqual([5, Math.fround(3.8), 0])
  })

  test("has the classes given, in their order", () =>
    withFiles({ "t.tsv": "text\ttone\nA.\tgood\nB.\tbad\n" }, async (folder) => {
      const train = join(folder, "t.tsv")
      const settings = { train, dev: train, sentences: ["text"], label: "tone" }
      const found = await run(of(settings))
      expect([found.labelNames, [...found.train.labels]]).toEqual([
        ["bad", "good"],
        [1, 0],
      ])
      const given = await run(of({ ...settings, classes: ["good", "fair", "bad"], metrics: ["matthews"] }))
      expect([given.labelNames, [...given.train.labels]]).toEqual([
        ["good", "fair", "bad"],
        [0, 2],
      ])
      expect(given.metrics).toEqual(["matthews"])
    }))

  test("has found numbers as classes in the order of numbers, and truth values as names", () =>
    withFiles(
      {
        "n.jsonl": [10, 9, -1, 9].map((label) => JSON.stringify({ text: "A.", label })).join("\n"),
        "b.jsonl": [true, false].map((label) => JSON.stringify({ text: "A.", label })).join("\n"),
      },
      async (folder) => {
        const namesOf = async (name: string) => {
          const train = join(folder, name)
          return (await run(of({ train, dev: train, sentences: ["text"] }))).labelNames
        }
        expect(await namesOf("n.jsonl")).toEqual(["-1", "9", "10"])
        expect(await namesOf("b.jsonl")).toEqual(["false", "true"])
      },
    ))

  test("may be on the hub", () => {
    const content = Buffer.from(inFormats["t.csv"])
    return withHub({ "datasets/owner/name/resolve/main/data/t.csv": content }, async () => {
      const train = "hf://datasets/owner/name/data/t.csv"
      expect(wordsOf((await run(of({ ...pair, train, dev: train }))).train.sequences)).toEqual(words)
    })
  })

  test("has scores of any sign and size unless a range is given", () =>
    withFiles({ "t.tsv": "text\tlabel\nA.\t-1.5\nB.\t2e3\n" }, async (folder) => {
      const train = join(folder, "t.tsv")
      const settings = { train, dev: train, sentences: ["text"], labels: "scores" as const }
      expect([...(await run(of(settings))).train.labels]).toEqual([-1.5, 2000])
      expect((await refusal(of({ ...settings, range: [-2, 2] }))).replaceAll(folder, "F")).toBe(
        'cannot read F/t.tsv: line 3, column label: expected a score from -2 to 2, found "2e3"',
      )
    }))
})

describe("without a dev file", () => {
  const rows = Array.from({ length: 50 }, (_, i) => `Text ${i}.\t${i % 2}`)
  const text = `text\tlabel\n${rows.join("\n")}\n`
  const split = (settings: Partial<Settings> = {}) =>
    withFiles({ "t.tsv": text }, async (folder) => {
      const node = of({ train: join(folder, "t.tsv"), sentences: ["text"], ...settings })
      const { train, dev } = await run(node)
      return {
        train: wordsOf(train.sequences),
        dev: wordsOf(dev.sequences),
        estimate: estimate(node).artifact,
      }
    })

  test("a part of the train file is held out, by its seed", async () => {
    const { train, dev, estimate } = await split()
    expect([train.length, dev.length]).toEqual([45, 5])
    expect(estimate).toMatchObject({ train: 45, dev: 5, labels: 2, labelKind: "classes" })
    const number = (words: string) => Number(/\d+/.exec(words)![0])
    for (const part of [train, dev]) expect(part.map(number)).toEqual(part.map(number).sort((a, b) => a - b))
    expect([...train, ...dev].map(number).sort((a, b) => a - b)).toEqual(rows.map((_, i) => i))
    expect((await split()).dev).toEqual(dev)
    expect((await split({ seed: 1 })).dev).not.toEqual(dev)
    expect((await split({ heldOut: 0.5 })).dev).toHaveLength(25)
    expect((await split({ heldOut: 0.001 })).dev).toHaveLength(1)
    expect((await split({ heldOut: 0.999 })).train).toHaveLength(1)
  })

  test("a single row is refused", () =>
    withFiles({ "t.csv": "text,label\nA.,1\n" }, async (folder) => {
      const settings = { train: join(folder, "t.csv"), sentences: ["text"], labels: "scores" as const }
      expect(await refusal(of(settings))).toContain(
        "expected at least 2 rows, one of them to be held out, found 1",
      )
    }))
})

describe("its estimate counts the rows", () => {
  test.each(["t.tsv", "t.csv"])("of %s by its lines", (name) =>
    withFiles(inFormats, async (folder) => {
      const file = join(folder, name)
      expect(estimate(of({ ...pair, train: file, dev: file })).artifact).toMatchObject({ train: 2, dev: 2 })
    }),
  )

  test("of parquet by its footer, and of a file that is not there by a usual number", () => {
    const train = fixture("glue", "stsb", "train.parquet")
    const settings = { train, dev: "nowhere.csv", sentences: ["sentence1"], labels: "scores" as const }
    const { artifact } = estimate(of(settings))
    expect(artifact).toMatchObject({ train: 3, dev: 10_000, labels: 1, labelKind: "scores" })
    expect(artifact).toMatchObject({ metrics: ["pearson", "spearman"] })
  })

  test("and refuses metrics that do not fit the labels", () => {
    const refused = (settings: Partial<Settings>) => () =>
      estimate(of({ train: "a.csv", sentences: ["text"], ...settings }))
    expect(refused({ metrics: ["pearson"] })).toThrow(
      "the metric pearson compares scores, but the labels are classes",
    )
    expect(refused({ metrics: ["f1"], classes: ["a", "b", "c"] })).toThrow(
      "the metric f1 needs two classes, found 3",
    )
    expect(refused({ metrics: ["accuracy"], labels: "scores" })).toThrow("accuracy compares classes")
    expect(refused({ metrics: ["accuracy", "f1", "matthews"] })).not.toThrow()
  })
})

describe("options", () => {
  test.each<[Partial<Settings>, string]>([
    [{ train: "a.txt" }, "train must be a file whose name ends in .tsv, .csv, .jsonl, .parquet"],
    [{ sentences: [] }, "sentences"],
    [{ sentences: ["a", "b", "c"] }, "sentences"],
    [{ classes: ["a"] }, "classes"],
    [{ classes: ["a", "a"] }, "classes must be different names"],
    [{ labels: "scores", classes: ["a", "b"] }, "classes must be omitted where labels are scores"],
    [{ range: [0, 5] }, "range must be omitted where labels are classes"],
    [{ labels: "scores", range: [5, 0] }, "range must be the lower score, then the higher"],
    [{ heldOut: 1 }, "heldOut must be less than 1"],
  ])("%j are refused", (settings, message) => {
    expect(of({ train: "a.csv", sentences: ["text"], ...settings }).problems.join("\n")).toContain(message)
  })

  test("name the files that it reads", () => {
    const reads = (settings: Partial<Settings>) => {
      const { plugin, options } = of({ train: "a.csv", sentences: ["text"], ...settings })
      return (plugin.reads as (options: unknown) => readonly string[])(options)
    }
    expect(reads({})).toEqual(["a.csv"])
    expect(reads({ dev: "b.tsv" })).toEqual(["a.csv", "b.tsv"])
    expect(reads({ dev: "hf://datasets/owner/name/b.tsv" })).toEqual([
      "a.csv",
      "hf://datasets/owner/name@main",
    ])
  })
})

describe("a file is refused", () => {
  test.each<[string, string, Partial<Settings>, string]>([
    ["t.csv", "", {}, 'line 1: expected a header with the columns text, label, found ""'],
    ["t.csv", "text,label\n", {}, "it has no rows"],
    [
      "t.csv",
      "text,tone\nA.,1\n",
      {},
      'line 1: expected a header with the columns text, label, found "text, tone"',
    ],
    ["t.tsv", "text\ttext\tlabel\nA.\tB.\t1\n", {}, "found text more than once"],
    ["t.csv", "text,label\nA.,1\nB, C.,0\n", {}, "line 3: expected 2 columns (text, label), found 3"],
    ["t.csv", 'text,label\n"A.,1\n', {}, "line 2, column 1: expected a closing quotation mark, found none"],
    ["t.csv", "text,label\nA.,1\n ,0\n", {}, 'line 3: expected text as text, found " "'],
    [
      "t.csv",
      "text,label\nA.,1\nB.,\n",
      {},
      "line 3, column label: expected the name of a class, found nothing",
    ],
    ["t.csv", "text,label\nA.,1\nB.,1\n", {}, 'column label: expected at least two classes, found only "1"'],
    [
      "t.csv",
      "text,label\nA.,yes\nB.,maybe\n",
      { classes: ["no", "yes"] },
      'line 3, column label: expected the label to be one of no, yes, found "maybe"',
    ],
    [
      "t.csv",
      "text,label\nA.,high\n",
      { labels: "scores" },
      'line 2, column label: expected a finite number as score, found "high"',
    ],
    [
      "t.csv",
      `text,label\n${Array.from({ length: 1001 }, (_, i) => `A.,${i / 7}\n`).join("")}`,
      {},
      "column label: expected at most 1000 classes, found 1001. Give labels: 'scores' if they are scores, or the classes",
    ],
    [
      "t.csv",
      "text,label\nA.,1\nB.,2\nC.,3\n",
      { metrics: ["f1"] },
      "the metric f1 needs two classes, found 3",
    ],
    ["t.jsonl", '{"text":"A.","label":1}\n[1]\n', {}, 'line 2: expected a JSON object, found "[1]"'],
    ["t.jsonl", '{"text":"A.","label":1}\n{"text":\n', {}, "line 2: expected a JSON object"],
    ["t.jsonl", '{"text":"A."}\n', {}, "line 1: expected the keys text, label, found text"],
    [
      "t.jsonl",
      '{"text":3,"label":1}\n{"text":"A.","label":0}',
      {},
      'line 1: expected text as text, found "3"',
    ],
    [
      "t.jsonl",
      '{"text":"A.","label":null}\n',
      {},
      'line 1, column label: expected the name of a class, found "null"',
    ],
    ...["null", "true", "[]", '""'].map((label): [string, string, Partial<Settings>, string] => [
      "t.jsonl",
      `{"text":"A.","label":${label}}\n`,
      { labels: "scores" },
      "line 1, column label: expected a finite number as score, found",
    ]),
    ["t.parquet", "text,label\n", {}, "it is damaged, or not a parquet file"],
  ])("%s %j", (name, text, settings, message) =>
    withFiles({ [name]: text }, async (folder) => {
      const train = join(folder, name)
      expect(await refusal(of({ train, dev: train, sentences: ["text"], ...settings }))).toContain(message)
    }),
  )

  test("whose labels are others than those of the train file", () =>
    withFiles({ "a.csv": "text,label\nA.,1\nB.,2\n", "b.csv": "text,label\nC.,3\n" }, async (folder) => {
      const settings = { train: join(folder, "a.csv"), dev: join(folder, "b.csv"), sentences: ["text"] }
      expect((await refusal(of(settings))).replaceAll(folder, "F")).toBe(
        'cannot read F/b.csv: line 2, column label: expected the label to be one of 1, 2, found "3"',
      )
    }))
})
