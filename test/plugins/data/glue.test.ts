import { describe, expect, test } from "bun:test"
import { copyFileSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { countOf } from "../../../core/artifacts/sequences.ts"
import { glue } from "../../../plugins/data/glue.ts"
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
} from "./running.ts"

const sample = fixture("rte-sample")
const of = (task: "RTE" | "WNLI" | "CoLA" | "SST-2", source: string, maxLength?: number) =>
  glue({ vocabulary: vocabularyNode, task, source, ...(maxLength === undefined ? {} : { maxLength }) })
const count = (labels: Float64Array, label: number) => labels.filter((other) => other === label).length

describe("RTE", () => {
  const expected = JSON.parse(readFileSync(join(sample, "expected.json"), "utf8"))

  test.each([128, 24])(
    "from GLUE's files, at most %d tokens: equals the output of Hugging Face's tokenizers",
    async (max) => {
      const { train, dev, labelNames, vocabularySize } = await run(of("RTE", sample, max))
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
      expect(await run(of("RTE", folder))).toEqual(await run(of("RTE", sample)))
    })
  })

  test("Windows line endings, and none at the last line, give the same examples", async () => {
    const windows = (name: string) =>
      readFileSync(join(sample, name), "utf8").replaceAll("\n", "\r\n").replace(/\r\n$/, "")
    await withFiles({ "train.tsv": windows("train.tsv"), "dev.tsv": windows("dev.tsv") }, async (folder) => {
      expect(await run(of("RTE", folder))).toEqual(await run(of("RTE", sample)))
    })
  })

  test("maxLength is 128 by default, 5 to 512, and part of the options", () => {
    expect(of("RTE", sample).options).toEqual({ task: "RTE", source: sample, maxLength: 128 })
    expect(of("RTE", sample, 4).problems[0]).toContain("maxLength must be at least 5")
    expect(of("RTE", sample, 513).problems[0]).toContain("maxLength must be at most 512")
  })

  test("its size is estimated without reading the files", () => {
    const { artifact, cost } = estimate(of("RTE", "nowhere"))
    const tokens = { tokensPerExample: 66.4, labels: 2, labelKind: "classes", vocabularySize: 30522 }
    expect(artifact).toEqual({ train: 2490, dev: 277, ...tokens })
    expect(cost.disk).toBeCloseTo(2767 * (66.4 * 8 + 12), 0)
  })
})

describe.skipIf(!haveShared)("the real data", () => {
  const reference = haveShared
    ? JSON.parse(readFileSync(shared("fixtures", "tokenization.json"), "utf8"))
    : {}

  test("RTE at most 128 and 64 tokens long has the reference digests", async () => {
    const source = shared("data", "glue", "RTE")
    const { train, dev } = await run(of("RTE", source))
    expect([count(train.labels, 0), count(train.labels, 1)]).toEqual([1249, 1241])
    expect([count(dev.labels, 0), count(dev.labels, 1)]).toEqual([146, 131])
    expect(digestOf(train.sequences)).toBe(reference["rte-train-128"].sha256)
    expect(digestOf(dev.sequences)).toBe(reference["rte-dev-128"].sha256)
    const shorter = await run(of("RTE", source, 64))
    expect(digestOf(shorter.train.sequences)).toBe(reference["rte-train-64"].sha256)
  })

  test.each(["RTE", "WNLI", "CoLA"] as const)("%s agrees with its estimate", async (task) => {
    const { train, dev } = await run(of(task, shared("data", "glue", task)))
    const { artifact, cost } = estimate(of(task, "nowhere"))
    const examples = train.labels.length + dev.labels.length
    const tokens = train.sequences.ids.length + dev.sequences.ids.length
    expect(artifact).toMatchObject({ train: countOf(train.sequences), dev: dev.labels.length })
    const { tokensPerExample } = artifact as { tokensPerExample: number }
    expect(Math.abs(tokensPerExample / (tokens / examples) - 1)).toBeLessThan(0.02)
    expect(Math.abs(cost.disk / (8 * tokens + 12 * examples) - 1)).toBeLessThan(0.02)
  })
})

describe("the other tasks", () => {
  test("WNLI has sentence pairs and numeric labels", async () => {
    const text =
      "index\tsentence1\tsentence2\tlabel\n0\tThe dog saw it.\tThe dog saw the cat.\t1\n1\tA b.\tC.\t0\n"
    await withFiles({ "train.tsv": text, "dev.tsv": text }, async (folder) => {
      const { train, labelNames } = await run(of("WNLI", folder))
      expect([...train.labels].map((label) => labelNames?.[label])).toEqual(["entailment", "not_entailment"])
      expect(wordsOf(train.sequences)).toEqual([
        "[CLS] the dog saw it . [SEP] the dog saw the cat . [SEP]",
        "[CLS] a b . [SEP] c . [SEP]",
      ])
    })
  })

  test("CoLA has no header and its sentence in the last column", async () => {
    const text = "gj04\t1\t\tThe dog saw it.\ngj04\t0\t*\tDog the it saw.\n"
    await withFiles({ "train.tsv": text, "dev.tsv": text }, async (folder) => {
      const { dev, labelNames } = await run(of("CoLA", folder))
      expect([...dev.labels].map((label) => labelNames?.[label])).toEqual(["acceptable", "unacceptable"])
      expect(wordsOf(dev.sequences)[1]).toBe("[CLS] dog the it saw . [SEP]")
      expect(dev.sequences.tokenTypeIds.every((type) => type === 0)).toBe(true)
    })
  })

  test("SST-2 has a sentence and a label", async () => {
    const text = "sentence\tlabel\na good film \t1\n"
    await withFiles({ "train.tsv": text, "dev.tsv": text }, async (folder) => {
      const { train } = await run(of("SST-2", folder))
      expect(wordsOf(train.sequences)).toEqual(["[CLS] a good film [SEP]"])
      expect([...train.labels]).toEqual([1])
    })
  })
})

describe("a TSV file is refused", () => {
  const header = "index\tsentence1\tsentence2\tlabel\n"
  const good = `${header}0\tA dog.\tAn animal.\tentailment\n`
  const refused = (train: string | Uint8Array) =>
    withFiles({ "train.tsv": train, "dev.tsv": good }, async (folder) =>
      (await refusal(of("RTE", folder))).replaceAll(folder, "F"),
    )

  test.each([
    ["", "cannot read F/train.tsv: it is empty. The file seems to be cut off"],
    [header, "it has a header but no rows"],
    [
      "0\tA dog.\tAn animal.\tentailment\n",
      'line 1: expected the header "index\\tsentence1\\tsentence2\\tlabel", found "0\\tA dog.\\tAn animal.\\tentailment"',
    ],
    [
      "sentence\tlabel\na\t1\n",
      'line 1: expected the header "index\\tsentence1\\tsentence2\\tlabel", found "sentence\\tlabel"',
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
      expect(await refusal(of("RTE", folder))).toBe(
        `cannot find the data in ${folder}: it contains notes.txt, train.tsv. Give the folder with train.tsv and dev.tsv, or with train.parquet and validation.parquet`,
      )
      expect(await refusal(of("RTE", join(folder, "RTE")))).toBe(
        `cannot list ${join(folder, "RTE")}: there is no such file or folder`,
      )
      expect(await refusal(of("RTE", join(folder, "train.tsv")))).toContain("expected a folder")
    })
  })
})

describe("a parquet file is refused", () => {
  const train = readFileSync(join(sample, "train.parquet"))
  const refused = (damaged: Uint8Array, task: "RTE" | "CoLA" | "WNLI" = "RTE") =>
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
    expect(await refused(train, "CoLA")).toBe(
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
    const expected = await run(of("RTE", sample))
    await withHub(files, async (disconnect) => {
      expect(await run(of("RTE", source))).toEqual(expected)
      disconnect()
      expect(await run(of("RTE", source))).toEqual(expected)
    })
  })

  test("without a connection, the message says what to do", async () => {
    await withHub(files, async (disconnect) => {
      disconnect()
      const message = await refusal(of("RTE", source))
      expect(message).toContain(
        "cannot download hf://datasets/nyu-mll/glue@main/rte/train-00000-of-00001.parquet: there is no connection",
      )
      expect(message).toContain("Use a local file or folder, or set HF_ENDPOINT")
    })
  })
})
