import { describe, expect, test } from "bun:test"
import { copyFileSync, cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { countOf } from "../../../../../core/artifacts/sequences.ts"
import { graphOf } from "../../../../../core/engine/graph.ts"
import { computingOf } from "../../../../../core/engine/key.ts"
import { cpu } from "../../../../../plugins/backend/cpu.ts"
import { cola } from "../../../../../plugins/data/cola.ts"
import { mnli } from "../../../../../plugins/data/mnli.ts"
import { mnliMismatched } from "../../../../../plugins/data/mnli-mismatched.ts"
import { mrpc } from "../../../../../plugins/data/mrpc.ts"
import { qnli } from "../../../../../plugins/data/qnli.ts"
import { qqp } from "../../../../../plugins/data/qqp.ts"
import { rte } from "../../../../../plugins/data/rte.ts"
import { sst2 } from "../../../../../plugins/data/sst2.ts"
import { stsb } from "../../../../../plugins/data/stsb.ts"
import { wnli } from "../../../../../plugins/data/wnli.ts"
import {
  digestOf,
  estimate,
  fixture,
  haveShared,
  refusal,
  run,
  shared,
  vocabularyNode,
  withFiles,
  withHub,
  wordsOf,
} from "../../running.ts"

const sample = fixture("rte-sample")
const tasks = { rte, wnli, cola, sst2, stsb, mrpc, qnli, qqp, mnli, mnliMismatched }
type Task = keyof typeof tasks
const of = (task: Task, source: string, maxLength?: number) =>
  tasks[task]({ vocabulary: vocabularyNode, source, ...(maxLength === undefined ? {} : { maxLength }) })
const count = (labels: Float64Array, label: number) => labels.filter((other) => other === label).length

describe("RTE", () => {
  const expected = JSON.parse(readFileSync(join(sample, "expected.json"), "utf8"))

  test.each([128, 24])(
    "from GLUE's files, at most %d tokens: equals the output of Hugging Face's tokenizers",
    async (max) => {
      const { train, dev, labelNames, vocabularySize } = await run(of("rte", sample, max))
      expect(labelNames).toEqual(["entailment", "not_entailment"])
      expect(vocabularySize).toBe(30522)
      expect([count(train.labels, 0), count(train.labels, 1)]).toEqual([7, 7])
      expect([...dev.labels]).toEqual([0, 1, 1, 0, 0, 1])
      for (const [name, { sequences }] of Object.entries({ train, dev })) {
        expect({ tokens: sequences.ids.length, sha256: digestOf(sequences) }).toEqual(
          expected[`${name}-${max}`],
        )
      }
    },
  )

  test("parquet files give the same examples", async () => {
    await withFiles({}, async (folder) => {
      copyFileSync(join(sample, "train.parquet"), join(folder, "train-00000-of-00001.parquet"))
      copyFileSync(join(sample, "validation.parquet"), join(folder, "validation-00000-of-00001.parquet"))
      expect(await run(of("rte", folder))).toEqual(await run(of("rte", sample)))
    })
  })

  test("Windows line endings, and none at the last line, give the same examples", async () => {
    const windows = (name: string) =>
      readFileSync(join(sample, name), "utf8").replaceAll("\n", "\r\n").replace(/\r\n$/, "")
    await withFiles({ "train.tsv": windows("train.tsv"), "dev.tsv": windows("dev.tsv") }, async (folder) => {
      expect(await run(of("rte", folder))).toEqual(await run(of("rte", sample)))
    })
  })

  test("maxLength is 128 by default, 5 to 512, and part of the options", () => {
    expect(of("rte", sample).options).toEqual({ source: sample, maxLength: 128 })
    expect(of("rte", sample, 4).problems[0]).toContain("maxLength must be at least 5")
    expect(of("rte", sample, 513).problems[0]).toContain("maxLength must be at most 512")
  })

  test("a sample of the train split is the same each time, part of a larger one, and in the order of the file", async () => {
    const whole = wordsOf((await run(of("rte", sample))).train.sequences)
    const cut = async (trainExamples: number) => {
      const { train, dev } = await run(rte({ vocabulary: vocabularyNode, source: sample, trainExamples }))
      expect(dev.labels).toHaveLength(6)
      const words = wordsOf(train.sequences)
      const places = words.map((text) => whole.indexOf(text))
      expect(places).toEqual([...places].sort((a, b) => a - b))
      return words
    }
    const [five, nine] = [await cut(5), await cut(9)]
    expect([five.length, nine.length]).toEqual([5, 9])
    expect(nine).toEqual(expect.arrayContaining([...five]))
    expect(five).not.toEqual(whole.slice(0, 5))
    expect(await cut(5)).toEqual(five)
    expect(await cut(14)).toEqual(whole)
    const wanted = rte({ vocabulary: vocabularyNode, source: sample, trainExamples: 15 })
    expect(await refusal(wanted)).toContain("trainExamples: expected at most 14, which is all")
    const { artifact } = estimate(rte({ vocabulary: vocabularyNode, source: "nowhere", trainExamples: 100 }))
    expect(artifact).toMatchObject({ train: 100, dev: 277 })
  })

  test("is found in the folder of all tasks, under GLUE's name for it or the hub's", async () => {
    for (const [task, own] of [
      ["rte", "RTE"],
      ["sst2", "SST-2"],
      ["stsb", "stsb"],
    ] as const) {
      const from = task === "rte" ? sample : fixture("glue", task)
      await withFiles({}, async (folder) => {
        cpSync(from, join(folder, own), { recursive: true })
        expect(await run(of(task, folder))).toEqual(await run(of(task, from)))
      })
    }
  })

  test("its size is estimated without reading the files", () => {
    const { artifact, cost } = estimate(of("rte", "nowhere"))
    const tokens = { tokensPerExample: 66.4, labels: 2, labelKind: "classes", vocabularySize: 30522 }
    expect(artifact).toEqual({ train: 2490, dev: 277, metrics: ["accuracy"], ...tokens })
    expect(cost.disk).toBeCloseTo(2767 * (66.4 * 8 + 12), 0)
  })
})

describe.skipIf(!haveShared)("the real data", () => {
  const reference = haveShared
    ? JSON.parse(readFileSync(shared("fixtures", "tokenization.json"), "utf8"))
    : {}

  test("RTE at most 128 and 64 tokens long has the reference digests", async () => {
    const source = shared("data", "glue", "RTE")
    const { train, dev } = await run(of("rte", source))
    expect([count(train.labels, 0), count(train.labels, 1)]).toEqual([1249, 1241])
    expect([count(dev.labels, 0), count(dev.labels, 1)]).toEqual([146, 131])
    expect(digestOf(train.sequences)).toBe(reference["rte-train-128"].sha256)
    expect(digestOf(dev.sequences)).toBe(reference["rte-dev-128"].sha256)
    const shorter = await run(of("rte", source, 64))
    expect(digestOf(shorter.train.sequences)).toBe(reference["rte-train-64"].sha256)
  })

  test.each([
    ["RTE", "rte"],
    ["WNLI", "wnli"],
    ["CoLA", "cola"],
    ["STS-B", "stsb"],
  ] as const)("%s agrees with its estimate", async (folder, task) => {
    const { train, dev } = await run(of(task, shared("data", "glue", folder)))
    const { artifact, cost } = estimate(of(task, "nowhere"))
    const examples = train.labels.length + dev.labels.length
    const tokens = train.sequences.ids.length + dev.sequences.ids.length
    expect(artifact).toMatchObject({ train: countOf(train.sequences), dev: dev.labels.length })
    const { tokensPerExample } = artifact as { tokensPerExample: number }
    expect(Math.abs(tokensPerExample / (tokens / examples) - 1)).toBeLessThan(0.02)
    expect(Math.abs(cost.disk / (8 * tokens + 12 * examples) - 1)).toBeLessThan(0.02)
  })
})

/** What the fixture of each task has: the words of its examples, and their labels. */
const samples: Readonly<Record<Exclude<Task, "rte">, Readonly<Record<"train" | "dev", readonly Sample[]>>>> =
  {
    wnli: {
      train: [
        ["[CLS] the dog saw it . [SEP] the dog saw the cat . [SEP]", "entailment"],
        ["[CLS] a b . [SEP] c . [SEP]", "not_entailment"],
      ],
      dev: [["[CLS] it fell . [SEP] the cup fell . [SEP]", "entailment"]],
    },
    cola: {
      train: [
        ["[CLS] the dog saw it . [SEP]", "acceptable"],
        ["[CLS] dog the it saw . [SEP]", "unacceptable"],
      ],
      dev: [
        ['[CLS] " it " is here . [SEP]', "acceptable"],
        ["[CLS] is here [SEP]", "unacceptable"],
      ],
    },
    sst2: {
      train: [
        ["[CLS] a good film [SEP]", "positive"],
        ['[CLS] dull , in " parts [SEP]', "negative"],
      ],
      dev: [["[CLS] bad [SEP]", "negative"]],
    },
    stsb: {
      train: [
        ["[CLS] a plane . [SEP] an air plane . [SEP]", 5],
        ['[CLS] a " dog . [SEP] a cat . [SEP]', 3.8],
        ["[CLS] one . [SEP] two . [SEP]", 0],
      ],
      dev: [
        ["[CLS] three . [SEP] four . [SEP]", 2.533],
        ["[CLS] a cat . [SEP] a dog . [SEP]", 1.75],
      ],
    },
    mrpc: {
      train: [
        ['[CLS] he said " no . [SEP] no , he said . [SEP]', "equivalent"],
        ["[CLS] one , two . [SEP] two . [SEP]", "not_equivalent"],
        ["[CLS] a cat . [SEP] a dog . [SEP]", "not_equivalent"],
      ],
      dev: [["[CLS] it is so . [SEP] so it is . [SEP]", "equivalent"]],
    },
    qnli: {
      train: [
        ["[CLS] who ran ? [SEP] the dog ran . [SEP]", "entailment"],
        ["[CLS] who sat ? [SEP] it was cold . [SEP]", "not_entailment"],
      ],
      dev: [["[CLS] what fell ? [SEP] it is red . [SEP]", "not_entailment"]],
    },
    qqp: {
      train: [
        ["[CLS] what is a dog ? [SEP] what are dogs ? [SEP]", "duplicate"],
        ['[CLS] who is " it ? [SEP] why ? [SEP]', "not_duplicate"],
        ["[CLS] is it ? [SEP] [SEP]", "not_duplicate"],
      ],
      dev: [
        ["[CLS] where is it ? [SEP] where was it ? [SEP]", "not_duplicate"],
        ["[CLS] why so ? [SEP] why ? [SEP]", "duplicate"],
      ],
    },
    mnli: {
      train: [
        ["[CLS] a dog ran . [SEP] it ran . [SEP]", "entailment"],
        ["[CLS] a dog ran . [SEP] it was fast . [SEP]", "neutral"],
        ["[CLS] a dog ran . [SEP] it sat . [SEP]", "contradiction"],
      ],
      dev: [["[CLS] one . [SEP] two . [SEP]", "contradiction"]],
    },
    mnliMismatched: {
      train: [],
      dev: [
        ["[CLS] three . [SEP] four . [SEP]", "neutral"],
        ["[CLS] five . [SEP] five . [SEP]", "entailment"],
      ],
    },
  }
type Sample = readonly [words: string, label: string | number]

/** Copies the files of a fixture whose names end so, under new names if `rename` gives some. */
const withCopies = <A>(
  task: string,
  extension: string,
  body: (folder: string) => Promise<A>,
  rename = (name: string) => name,
) =>
  withFiles({}, (folder) => {
    for (const name of readdirSync(fixture("glue", task))) {
      if (name.endsWith(extension)) copyFileSync(fixture("glue", task, name), join(folder, rename(name)))
    }
    return body(folder)
  })

describe("every other task", () => {
  const names = Object.keys(samples) as (keyof typeof samples)[]

  test.each(names)("%s is the same from GLUE's own files and from the hub's", async (task) => {
    const folder = task === "mnliMismatched" ? "mnli" : task
    const fromTsv = await withCopies(folder, ".tsv", (source) => run(of(task, source)))
    const { labelNames } = fromTsv
    const read = ({ sequences, labels }: typeof fromTsv.train) =>
      wordsOf(sequences).map((words, i) => [words, labelNames === null ? labels[i] : labelNames[labels[i]!]])
    const { train } = samples[task === "mnliMismatched" ? "mnli" : task]
    expect<unknown>(read(fromTsv.train)).toEqual(train)
    expect<unknown>(read(fromTsv.dev)).toEqual(samples[task].dev)
    expect(await withCopies(folder, ".parquet", (source) => run(of(task, source)))).toEqual(fromTsv)
    const hubName = (name: string) => name.replace(".parquet", "-00000-of-00001.parquet")
    expect(await withCopies(folder, ".parquet", (source) => run(of(task, source)), hubName)).toEqual(fromTsv)
  })

  test.each<[Task, readonly string[], readonly string[] | null]>([
    ["rte", ["accuracy"], ["entailment", "not_entailment"]],
    ["wnli", ["accuracy"], ["not_entailment", "entailment"]],
    ["cola", ["matthews"], ["unacceptable", "acceptable"]],
    ["sst2", ["accuracy"], ["negative", "positive"]],
    ["stsb", ["pearson", "spearman"], null],
    ["mrpc", ["accuracy", "f1"], ["not_equivalent", "equivalent"]],
    ["qnli", ["accuracy"], ["entailment", "not_entailment"]],
    ["qqp", ["accuracy", "f1"], ["not_duplicate", "duplicate"]],
    ["mnli", ["accuracy"], ["entailment", "neutral", "contradiction"]],
    ["mnliMismatched", ["accuracy"], ["entailment", "neutral", "contradiction"]],
  ])("%s has GLUE's metrics, and labels in the hub's order", async (task, metrics, labelNames) => {
    const folder = task === "rte" ? sample : fixture("glue", task === "mnliMismatched" ? "mnli" : task)
    const examples = await run(of(task, folder))
    expect<unknown>([examples.metrics, examples.labelNames]).toEqual([metrics, labelNames])
    const { artifact } = estimate(of(task, "nowhere"))
    expect(artifact).toMatchObject({
      labels: labelNames?.length ?? 1,
      metrics,
      labelKind: labelNames === null ? "scores" : "classes",
    })
  })

  test("its identity is its own, and so is its file", () => {
    const modules = Object.values(tasks).map(({ module }) => new URL(module).pathname)
    const files = Object.values(tasks).map(({ name }) =>
      join(import.meta.dir, `../../../../../plugins/data/${name}.ts`),
    )
    expect(modules).toEqual(files)
  })

  test("has no file of another task in its key", () => {
    const closure = (path: string, seen = new Set<string>()): ReadonlySet<string> => {
      if (seen.has(path)) return seen
      seen.add(path)
      for (const [, to] of readFileSync(path, "utf8").matchAll(/ from "(\.[^"]+)"/g))
        closure(join(path, "..", to!), seen)
      return seen
    }
    const files = Object.values(tasks).map(({ module }) => new URL(module).pathname)
    for (const file of files) expect(files.filter((other) => closure(file).has(other))).toEqual([file])
  })

  test("a score outside of 0 to 5, or a class as score, is refused", async () => {
    const text = readFileSync(fixture("glue", "stsb", "train.tsv"), "utf8")
    for (const score of ["5.1", "-1", "high", ""]) {
      const files = { "train.tsv": text.replace("3.800", score), "dev.tsv": text }
      await withFiles(files, async (folder) => {
        expect(await refusal(of("stsb", folder))).toContain(
          `line 3: expected a score from 0 to 5, found ${JSON.stringify(score)}`,
        )
      })
    }
  })
})

describe("MRPC from the original corpus", () => {
  const header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
  const rows = ["1\t1\t2\tA.\tB.\n", "0\t3\t4\tC.\tD.\n", "1\t5\t6\tE.\tF.\n"]
  const corpus = {
    "msr_paraphrase_train.txt": `\ufeff${header}${rows.join("")}`,
    "msr_paraphrase_test.txt": `\ufeff${header}0\t7\t8\tG.\tH.\n`,
  }

  test("has the corpus's own test set as its dev split", () =>
    withFiles(corpus, async (folder) => {
      const { train, dev } = await run(of("mrpc", folder))
      expect(wordsOf(train.sequences)).toEqual(["a . [SEP] b", "c . [SEP] d", "e . [SEP] f"].map(framed))
      expect([...train.labels]).toEqual([1, 0, 1])
      expect(wordsOf(dev.sequences)).toEqual([framed("g . [SEP] h")])
    }))

  test("is split as in GLUE by the ids that GLUE lists", () =>
    withFiles({ ...corpus, "dev_ids.tsv": "3\t4\n" }, async (folder) => {
      const { train, dev } = await run(of("mrpc", folder))
      expect(wordsOf(train.sequences)).toEqual(["a . [SEP] b", "e . [SEP] f"].map(framed))
      expect(wordsOf(dev.sequences)).toEqual([framed("c . [SEP] d")])
      expect([...dev.labels]).toEqual([0])
    }))

  test("is refused if a listed id is not there", () =>
    withFiles({ ...corpus, "dev_ids.tsv": "3\t4\n4\t3\n" }, async (folder) => {
      expect((await refusal(of("mrpc", folder))).replaceAll(folder, "F")).toBe(
        "cannot read F/dev_ids.tsv: line 2: expected ids of a row of F/msr_paraphrase_train.txt, found 4 3",
      )
    }))

  const framed = (text: string) => `[CLS] ${text} . [SEP]`
})

describe("the files that count", () => {
  const reads = (node: ReturnType<typeof of>) =>
    (node.plugin.reads as (options: unknown) => readonly string[])(node.options)
  const there = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, ""]))

  test.each<[Task, readonly string[], readonly string[]]>([
    ["rte", ["dev.tsv", "train.tsv", "test.tsv", "train.log", ".train.tsv.swp"], ["train.tsv", "dev.tsv"]],
    ["rte", ["train.tsv", "train.parquet", "validation.parquet"], ["train.parquet", "validation.parquet"]],
    ["mnli", ["train.tsv", "dev_matched.tsv", "dev_mismatched.tsv"], ["train.tsv", "dev_matched.tsv"]],
    [
      "mnliMismatched",
      ["train.tsv", "dev_matched.tsv", "dev_mismatched.tsv"],
      ["train.tsv", "dev_mismatched.tsv"],
    ],
    [
      "mrpc",
      ["msr_paraphrase_train.txt", "msr_paraphrase_test.txt", "dev_ids.tsv"],
      ["msr_paraphrase_train.txt", "dev_ids.tsv"],
    ],
  ])("of %s among %j are %j", (task, names, expected) =>
    withFiles(there(names), async (folder) => {
      expect(reads(of(task, folder))).toEqual(expected.map((name) => join(folder, name)))
    }),
  )

  test("of the hub are known by their repository's commit", () => {
    expect(reads(of("rte", "hf://datasets/nyu-mll/glue"))).toEqual(["hf://datasets/nyu-mll/glue@main"])
  })

  test("give the same key when another file appears beside them", () =>
    withFiles({}, async (folder) => {
      const unitKey = async () => {
        const { units } = await Effect.runPromise(
          graphOf({ data: of("rte", folder) }, computingOf(cpu, "fp32")),
        )
        return units.find(({ plugin }) => plugin.name === "rte")!.key
      }
      for (const name of ["train.tsv", "dev.tsv"]) copyFileSync(join(sample, name), join(folder, name))
      const before = await unitKey()
      writeFileSync(join(folder, "train.log"), "a log")
      expect(await unitKey()).toBe(before)
    }))

  test("are asked for when the plan is made if they are not there", () =>
    withFiles({ "notes.txt": "" }, async (folder) => {
      const { problems } = await Effect.runPromise(
        Effect.flip(graphOf({ data: of("rte", folder) }, computingOf(cpu, "fp32"))),
      )
      expect(problems).toEqual([
        `rte: cannot find the data in ${folder}: it contains notes.txt. Give the folder with train.tsv and dev.tsv, or with train.parquet and validation.parquet, or with train-00000-of-00001.parquet and validation-00000-of-00001.parquet`,
      ])
    }))
})

describe("a TSV file is refused", () => {
  const header = "index\tsentence1\tsentence2\tlabel\n"
  const good = `${header}0\tA dog.\tAn animal.\tentailment\n`
  const refused = (train: string | Uint8Array) =>
    withFiles({ "train.tsv": train, "dev.tsv": good }, async (folder) =>
      (await refusal(of("rte", folder))).replaceAll(folder, "F"),
    )

  test.each([
    ["", "cannot read F/train.tsv: it is empty. The file seems to be cut off"],
    [header, "it has a header but no rows"],
    [
      "0\tA dog.\tAn animal.\tentailment\n",
      'line 1: expected a header with the columns sentence1, sentence2, label, found "0, A dog., An animal., entailment"',
    ],
    [
      "sentence\tlabel\na\t1\n",
      'line 1: expected a header with the columns sentence1, sentence2, label, found "sentence, label"',
    ],
    [
      `${good}1\tA cat.\tentailment\n`,
      "line 3: expected 4 columns (index, sentence1, sentence2, label), found 3",
    ],
    [
      `${good}1\tA cat.\tA dog.\tentailment\tmore\n`,
      "line 3: expected 4 columns (index, sentence1, sentence2, label), found 5",
    ],
    [
      `${good}1\tA cat.\tA d`,
      "line 3: expected 4 columns (index, sentence1, sentence2, label), found 3. The file seems to be cut off: copy or download it again",
    ],
    [
      `${good}1\tA cat.\tA dog.\tentail`,
      'line 3: expected the label to be one of entailment, not_entailment, found "entail"',
    ],
    [
      `${good}1\tA cat.\tA dog.\t\n`,
      'line 3: expected the label to be one of entailment, not_entailment, found ""',
    ],
    [`${good}1\t \tA dog.\tentailment\n`, 'line 3: expected text as sentence1, found " "'],
    [`${good}\n`, "line 3: expected 4 columns (index, sentence1, sentence2, label), found 1"],
  ])("%j", async (train, expected) => {
    expect(await refused(train)).toContain(expected)
  })

  test("that is not UTF-8, with the line number", async () => {
    const latin = Buffer.concat([
      Buffer.from(good),
      Buffer.from("1\tcaf\xe9\tA dog.\tentailment\n", "latin1"),
    ])
    expect(await refused(latin)).toBe("cannot read F/train.tsv: line 3 is not UTF-8. Convert it to UTF-8")
  })

  test("that is missing, and a folder without data", async () => {
    await withFiles({ "train.tsv": good, "notes.txt": "" }, async (folder) => {
      expect(await refusal(of("rte", folder))).toBe(
        `cannot find the data in ${folder}: it contains notes.txt, train.tsv. Give the folder with train.tsv and dev.tsv, or with train.parquet and validation.parquet, or with train-00000-of-00001.parquet and validation-00000-of-00001.parquet`,
      )
      expect(await refusal(of("rte", join(folder, "RTE")))).toBe(
        `cannot list ${join(folder, "RTE")}: there is no such file or folder`,
      )
      expect(await refusal(of("rte", join(folder, "train.tsv")))).toContain("expected a folder")
    })
  })
})

describe("a parquet file is refused", () => {
  const train = readFileSync(join(sample, "train.parquet"))
  const refused = (damaged: Uint8Array, task: Task = "rte") =>
    withFiles({ "train.parquet": damaged, "validation.parquet": train }, async (folder) =>
      (await refusal(of(task, folder))).replaceAll(folder, "F"),
    )
  const broken =
    /^cannot read F\/train\.parquet: it is damaged, or not a parquet file \(.+\)\. Copy or download it again$/

  test("that is cut off at any length", async () => {
    for (const length of [0, 3, 8, 100, 1000, train.length - 1]) {
      expect(await refused(train.subarray(0, length))).toMatch(broken)
    }
  })

  test("that is text, or has overwritten pages", async () => {
    expect(await refused(Buffer.from("index\tsentence1\tsentence2\tlabel\n"))).toMatch(broken)
    const overwritten = Buffer.from(train)
    overwritten.fill(0xff, 4, 400)
    expect(await refused(overwritten)).toMatch(broken)
  })

  test("that has other columns", async () => {
    expect(await refused(train, "cola")).toBe(
      "cannot read F/train.parquet: expected the columns sentence, label; found sentence1, sentence2, label, idx",
    )
  })

  test("that hides its labels, as test sets do", async () => {
    expect(await refused(readFileSync(fixture("parquet", "hidden-labels.parquet")))).toContain(
      "row 2: expected the label to be one of 0 (entailment), 1 (not_entailment), found -1",
    )
  })
})

describe("RTE from the hub", () => {
  const at = (name: string) => `datasets/nyu-mll/glue/resolve/main/rte/${name}-00000-of-00001.parquet`
  const files = {
    [at("train")]: readFileSync(join(sample, "train.parquet")),
    [at("validation")]: readFileSync(join(sample, "validation.parquet")),
  }
  const source = "hf://datasets/nyu-mll/glue"

  test("equals RTE from files and is downloaded once", async () => {
    const expected = await run(of("rte", sample))
    await withHub(files, async (disconnect) => {
      expect(await run(of("rte", source))).toEqual(expected)
      disconnect()
      expect(await run(of("rte", source))).toEqual(expected)
    })
  })

  test("and MNLI with either dev set, under the hub's names", async () => {
    const names = ["train", "validation_matched", "validation_mismatched"]
    const ofMnli = Object.fromEntries(
      names.map((name) => [
        `datasets/nyu-mll/glue/resolve/main/mnli/${name}-00000-of-00001.parquet`,
        readFileSync(fixture("glue", "mnli", `${name}.parquet`)),
      ]),
    )
    await withHub(ofMnli, async () => {
      for (const task of ["mnli", "mnliMismatched"] as const) {
        expect(await run(of(task, source))).toEqual(await run(of(task, fixture("glue", "mnli"))))
      }
    })
  })

  test("without a connection, the message says what to do", async () => {
    await withHub(files, async (disconnect) => {
      disconnect()
      const message = await refusal(of("rte", source))
      expect(message).toContain(
        "cannot download hf://datasets/nyu-mll/glue@main/rte/train-00000-of-00001.parquet: there is no connection",
      )
      expect(message).toContain("Use a local file or folder, or set HF_ENDPOINT")
    })
  })
})
