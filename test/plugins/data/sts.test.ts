import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import type { Given } from "../../../core/artifacts/kind.ts"
import { countOf } from "../../../core/artifacts/sequences.ts"
import type { Similarity } from "../../../core/artifacts/similarity.ts"
import { sts } from "../../../plugins/data/sts.ts"
import {
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

type Benchmark = Parameters<typeof sts>[0]["benchmark"]
const of = (benchmark: Benchmark, source: string) => sts({ vocabulary: vocabularyNode, benchmark, source })
const shown = ({ sets }: Given<typeof Similarity>) =>
  sets.map(({ name, first, second, scores }) => ({
    name,
    first: wordsOf(first),
    second: wordsOf(second),
    scores: [...scores],
  }))

const csv = [
  'main-captions\tMSRvid\t2012test\t0002\t4.750\tA "dog.\tA cat.',
  "main-news\theadlines\t2016\t0281\t5\tOne, two.\tTwo, one.\tSource one\tSource two",
].join("\n")
const header = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
const tsv = `${header}0\tmain-captions\tMSRvid\t2012test\t0002\tnone\tnone\tA "dog.\tA cat.\t4.750
1\tmain-news\theadlines\t2016\t0281\tSource one\tSource two\tOne, two.\tTwo, one.\t5\n`
const sickHeader = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"
const sick = `${sickHeader}6\tA dog.\tA cat.\t3.3\tNEUTRAL\n7\tOne.\tTwo.\t1\tCONTRADICTION\n`
const sts13 = {
  "STS.input.FNWN.txt": "A dog.\tA cat.\nOne.\tTwo.\nThree.\tFour.\n",
  "STS.gs.FNWN.txt": "0.6\n\n3\n",
  "STS.input.headlines.txt": "Five.\tSix.\tsource\tsource\n",
  "STS.gs.headlines.txt": "4.25\n",
  "STS.input.OnWN.txt": "Seven.\tEight.",
  "STS.gs.OnWN.txt": "5",
  "STS.gs.SMT.txt": "1\n2\n",
}

describe("sentence pairs with scores", () => {
  const pairs = {
    first: ['[CLS] a " dog . [SEP]', "[CLS] one , two . [SEP]"],
    second: ["[CLS] a cat . [SEP]", "[CLS] two , one . [SEP]"],
    scores: [4.75, 5],
  }

  test.each([
    ["STS-B/dev", "sts-dev.csv", csv],
    ["STS-B/test", "sts-test.csv", csv],
    ["STS-B/train", "sts-train.csv", csv],
    ["STS-B/dev", "dev.tsv", tsv],
    ["STS-B/train", "train.tsv", tsv],
  ] as const)("%s from %s", async (benchmark, name, content) => {
    await withFiles({ [name]: content }, async (folder) => {
      expect(shown(await run(of(benchmark, folder)))).toEqual([{ name: benchmark, ...pairs }])
    })
  })

  test("SICK-R", async () => {
    await withFiles({ "SICK_test_annotated.txt": sick }, async (folder) => {
      expect(shown(await run(of("SICK-R", folder)))).toEqual([
        {
          name: "SICK-R",
          first: ["[CLS] a dog . [SEP]", "[CLS] one . [SEP]"],
          second: ["[CLS] a cat . [SEP]", "[CLS] two . [SEP]"],
          scores: [3.3, 1],
        },
      ])
    })
  })

  test("STS13: its subsets by name, without the pairs that have no score", async () => {
    await withFiles(sts13, async (folder) => {
      expect(shown(await run(of("STS13", folder)))).toEqual([
        {
          name: "FNWN",
          first: ["[CLS] a dog . [SEP]", "[CLS] three . [SEP]"],
          second: ["[CLS] a cat . [SEP]", "[CLS] four . [SEP]"],
          scores: [0.6, 3],
        },
        { name: "headlines", first: ["[CLS] five . [SEP]"], second: ["[CLS] six . [SEP]"], scores: [4.25] },
        { name: "OnWN", first: ["[CLS] seven . [SEP]"], second: ["[CLS] eight . [SEP]"], scores: [5] },
      ])
    })
  })

  test("STS-B from the hub's copy of GLUE", async () => {
    const path = "datasets/nyu-mll/glue/resolve/main/stsb/validation-00000-of-00001.parquet"
    await withHub({ [path]: readFileSync(fixture("parquet", "stsb.parquet")) }, async () => {
      expect(shown(await run(of("STS-B/dev", "hf://datasets/nyu-mll/glue")))).toEqual([
        {
          name: "STS-B/dev",
          first: ["[CLS] a dog . [SEP]", "[CLS] one , two . [SEP]"],
          second: ["[CLS] a cat . [SEP]", "[CLS] two , one . [SEP]"],
          scores: [4.75, 5],
        },
      ])
    })
  })

  test("maxLength is 128 by default", () => {
    expect(of("STS13", "f").options).toEqual({ benchmark: "STS13", source: "f", maxLength: 128 })
  })

  test("only STS-B is on the hub", () => {
    expect(of("STS-B/dev", "hf://datasets/nyu-mll/glue").problems).toEqual([])
    for (const benchmark of ["STS-B/test", "STS13", "SICK-R"] as const) {
      expect(of(benchmark, "hf://datasets/nyu-mll/glue").problems).toEqual([
        `source must be a local folder (${benchmark} is not on the hub) (was hf://datasets/nyu-mll/glue)`,
      ])
    }
  })
})

describe.skipIf(!haveShared)("the real data", () => {
  const counted = async (benchmark: Benchmark, ...path: readonly string[]) => {
    const node = of(benchmark, shared("data", ...path))
    const { sets } = await run(node)
    const { pairs } = estimate(node).artifact as { pairs: number }
    expect(sets.reduce((sum, { scores }) => sum + scores.length, 0)).toBe(pairs)
    return sets.map(({ name, first, second, scores }) => {
      expect([countOf(first), countOf(second)]).toEqual([scores.length, scores.length])
      return [name, scores.length]
    })
  }

  test("STS-B of SentEval and of GLUE are the same pairs", async () => {
    for (const split of ["dev", "train"] as const) {
      const senteval = await run(of(`STS-B/${split}`, shared("data", "sts", "stsbenchmark")))
      expect(await run(of(`STS-B/${split}`, shared("data", "glue", "STS-B")))).toEqual(senteval)
    }
    expect(await counted("STS-B/dev", "sts", "stsbenchmark")).toEqual([["STS-B/dev", 1500]])
    expect(await counted("STS-B/test", "sts", "stsbenchmark")).toEqual([["STS-B/test", 1379]])
  })

  test("STS13 and STS14", async () => {
    expect(await counted("STS13", "sts", "STS13-en-test")).toEqual([
      ["FNWN", 189],
      ["headlines", 750],
      ["OnWN", 561],
    ])
    const counts = await counted("STS14", "sts", "STS14-en-test")
    expect(counts.map(([, pairs]) => pairs)).toEqual([450, 300, 750, 750, 750, 750])
  })
})

describe("a file is refused", () => {
  const refused = (benchmark: Benchmark, files: Readonly<Record<string, string>>) =>
    withFiles(files, async (folder) =>
      (await refusal(of(benchmark, folder))).replaceAll(`${folder}/`, "").replaceAll(folder, "F"),
    )

  test.each([
    ["STS-B/dev", { "sts-dev.csv": "" }, "cannot read sts-dev.csv: it is empty"],
    [
      "STS-B/dev",
      { "sts-dev.csv": `${csv}\nmain-news\tx\t2016\t3\t2.0\tOne.` },
      "sts-dev.csv: line 3: expected 7 or more columns (genre, file, year, number, score, sentence1, sentence2), found 6. The file seems to be cut off",
    ],
    [
      "STS-B/dev",
      { "sts-dev.csv": csv.replace("4.750", "high") },
      'line 1: expected a score from 0 to 5, found "high"',
    ],
    [
      "STS-B/dev",
      { "sts-dev.csv": csv.replace("4.750", "") },
      'line 1: expected a score from 0 to 5, found ""',
    ],
    [
      "STS-B/dev",
      { "sts-dev.csv": csv.replace("4.750", "47.5") },
      'line 1: expected a score from 0 to 5, found "47.5"',
    ],
    [
      "STS-B/dev",
      { "sts-dev.csv": csv.replace("A cat.", "") },
      "line 1: expected text as sentence2, found nothing",
    ],
    [
      "STS-B/dev",
      { "dev.tsv": tsv.slice(header.length) },
      "dev.tsv: line 1: expected a header with the columns",
    ],
    [
      "STS-B/dev",
      { "dev.tsv": `${tsv}2\tx\n` },
      "line 4: expected 10 columns (index, genre, filename, year, old_index, source1, source2, sentence1, sentence2, score), found 2",
    ],
    [
      "STS-B/test",
      { "test.tsv": tsv },
      "cannot find STS-B/test in F: there is no sts-test.csv. Give the folder that contains it",
    ],
    ["STS-B/dev", {}, "there is no sts-dev.csv or dev.tsv"],
    [
      "SICK-R",
      { "SICK_test_annotated.txt": sick.slice(sickHeader.length) },
      "SICK_test_annotated.txt: line 1: expected a header with the columns",
    ],
    [
      "SICK-R",
      { "SICK_test_annotated.txt": `${sick}8\tOne.\tTwo.\t2\n` },
      "line 4: expected 5 columns (pair_ID, sentence_A, sentence_B, relatedness_score, entailment_judgment), found 4",
    ],
    ["STS13", {}, "cannot read STS.input.FNWN.txt: there is no such file or folder"],
    [
      "STS13",
      { ...sts13, "STS.gs.FNWN.txt": "0.6\n3\n" },
      "cannot read STS.gs.FNWN.txt: expected 3 lines, as in STS.input.FNWN.txt, found 2",
    ],
    [
      "STS13",
      { ...sts13, "STS.gs.FNWN.txt": "0.6\n\n3\n4\n" },
      "expected 3 lines, as in STS.input.FNWN.txt, found 4",
    ],
    [
      "STS13",
      { ...sts13, "STS.gs.FNWN.txt": "0.6\n\nnan\n" },
      'STS.gs.FNWN.txt: line 3: expected a score from 0 to 5, found "nan"',
    ],
    [
      "STS13",
      { ...sts13, "STS.input.FNWN.txt": "A dog.\nOne.\tTwo.\nThree.\tFour.\n" },
      "STS.input.FNWN.txt: line 1: expected 2 or more columns (sentence1, sentence2), found 1",
    ],
  ] as const)("%s %#", async (benchmark, files, expected) => {
    expect(await refused(benchmark, files)).toContain(expected)
  })
})
