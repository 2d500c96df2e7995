import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type } from "arktype"
import { Effect } from "effect"
import { Checkpoint } from "../../../core/artifacts/checkpoint.ts"
import { Corpus } from "../../../core/artifacts/corpus.ts"
import { Examples } from "../../../core/artifacts/examples.ts"
import type { ArtifactKind } from "../../../core/artifacts/kind.ts"
import { observationsOf } from "../../../core/artifacts/observations.ts"
import { Page } from "../../../core/artifacts/page.ts"
import { Run } from "../../../core/artifacts/run.ts"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import { Similarity } from "../../../core/artifacts/similarity.ts"
import { Vocabulary } from "../../../core/artifacts/vocabulary.ts"
import { writeFile } from "../../../core/io/files.ts"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kasosei-artifact-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const write = <G>(kind: ArtifactKind<string, G, unknown, unknown>, given: G) =>
  Effect.runPromise(kind.write(folder, given))
const read = <T>(kind: ArtifactKind<string, never, T, unknown>) => Effect.runPromise(kind.read(folder))
const refusal = async (kind: ArtifactKind<string, never, unknown, unknown>) =>
  (await Effect.runPromise(Effect.flip(kind.read(folder)))).message.replaceAll(folder, "F")
/** Changes a JSON file of the artifact. */
const edit = (name: string, change: (json: Record<string, unknown>) => void) => {
  const path = join(folder, name)
  const json = JSON.parse(readFileSync(path, "utf8"))
  change(json)
  writeFileSync(path, JSON.stringify(json))
}
const overwrite = (name: string, array: Int32Array | Float64Array) =>
  writeFileSync(join(folder, name), new Uint8Array(array.buffer))

const special = { pad: 0, unknown: 1, cls: 2, separator: 3, mask: 4 }
const sequences = packSequences([
  { ids: [2, 5, 6, 3, 7, 3], tokenTypeIds: [0, 0, 0, 0, 1, 1] },
  { ids: [2, 3], tokenTypeIds: [0, 0] },
  { ids: [2, 9, 3], tokenTypeIds: [0, 0, 0] },
])
const corpus = { sequences, special, vocabularySize: 10 }

describe("a corpus", () => {
  test("is read as it was written", async () => {
    await write(Corpus, corpus)
    expect(await read(Corpus)).toEqual(corpus)
  })

  test("is read as it was written, even without sentences", async () => {
    const empty = { ...corpus, sequences: packSequences([]) }
    await write(Corpus, empty)
    expect(await read(Corpus)).toEqual(empty)
  })

  test.each([
    [
      "a file is missing",
      () => rmSync(join(folder, "sentences.ids.i32")),
      "sentences.ids.i32: there is no such file",
    ],
    [
      "a file is cut off",
      () => truncateSync(join(folder, "sentences.ids.i32"), 42),
      "sentences.ids.i32: expected 44 bytes of i32, found 42 bytes of i32",
    ],
    [
      "offsets decrease",
      () => overwrite("sentences.offsets.i32", Int32Array.of(0, 6, 5, 11)),
      "the offsets do not fit the token ids",
    ],
    [
      "offsets do not start at 0",
      () => overwrite("sentences.offsets.i32", Int32Array.of(1, 6, 8, 11)),
      "the offsets do not fit the token ids",
    ],
    [
      "offsets do not end at the last token",
      () => overwrite("sentences.offsets.i32", Int32Array.of(0, 6, 8, 10)),
      "the offsets do not fit the token ids",
    ],
    [
      "an id is outside the vocabulary",
      () =>
        edit("corpus.json", (json) => {
          json.vocabularySize = 9
        }),
      "sentences.ids.i32: token 9: expected an id from 0 to 8, found 9",
    ],
    [
      "a token type is neither 0 nor 1",
      () => overwrite("sentences.token-type-ids.i32", new Int32Array(11).fill(2, 10)),
      "sentences.token-type-ids.i32: token 10: expected the token type 0 or 1, found 2",
    ],
    [
      "an element type is not the expected one",
      () =>
        edit("corpus.json", (json) => {
          ;(json.sequences as { ids: { dtype: string } }).ids.dtype = "f32"
        }),
      "expected 44 bytes of i32, found 44 bytes of f32",
    ],
    [
      "a path leads out of the folder",
      () =>
        edit("corpus.json", (json) => {
          ;(json.sequences as { ids: { file: string } }).ids.file = "../ids.i32"
        }),
      "sequences.ids.file must be",
    ],
    [
      "there is an unknown key",
      () =>
        edit("corpus.json", (json) => {
          json.more = 1
        }),
      "more must be removed",
    ],
    [
      "the JSON is cut off",
      () => truncateSync(join(folder, "corpus.json"), 20),
      "F/corpus.json: it is not JSON",
    ],
  ])("is refused if %s", async (_, damage, expected) => {
    await write(Corpus, corpus)
    damage()
    expect(await refusal(Corpus)).toContain(expected)
  })
})

describe("examples", () => {
  const examples = {
    labelNames: ["yes", "no"],
    train: { sequences, labels: Int32Array.of(0, 1, 0) },
    dev: { sequences: packSequences([{ ids: [2, 3], tokenTypeIds: [0, 0] }]), labels: Int32Array.of(1) },
    special,
    vocabularySize: 10,
  }

  test("are read as they were written", async () => {
    await write(Examples, examples)
    expect(await read(Examples)).toEqual(examples)
  })

  test("are refused if a label is out of range, or there is not one label for each example", async () => {
    const wrong = (labels: Int32Array) => ({ ...examples, dev: { ...examples.dev, labels } })
    for (const labels of [Int32Array.of(2), Int32Array.of(-1), Int32Array.of(0, 1)]) {
      await write(Examples, wrong(labels))
      expect(await refusal(Examples)).toBe(
        "cannot read F/dev.labels.i32: the labels do not fit 1 examples of 2 classes",
      )
    }
  })
})

describe("sentence pairs", () => {
  const set = { name: "dev", first: sequences, second: sequences, scores: Float64Array.of(0, 2.5, 5) }
  const similarity = { sets: [set, { ...set, name: "../x" }], vocabularySize: 10 }

  test("are read as they were written, whatever the names of the sets", async () => {
    await write(Similarity, similarity)
    expect(await read(Similarity)).toEqual(similarity)
    expect(readdirSync(folder).every((name) => /^(similarity\.json|set-[01]\..*)$/.test(name))).toBe(true)
  })

  test("are refused if scores are missing", async () => {
    await write(Similarity, { sets: [{ ...set, scores: Float64Array.of(1, 2) }], vocabularySize: 10 })
    expect(await refusal(Similarity)).toBe(
      "cannot read F/set-0.scores.f64: expected a score for each pair, found 2 for 3 and 3 sentences",
    )
  })
})

describe("a vocabulary", () => {
  const vocabulary = { tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "é", "##s"], special }

  test("is read as it was written", async () => {
    await write(Vocabulary, vocabulary)
    expect(await read(Vocabulary)).toEqual(vocabulary)
  })

  test("is refused if a special token's id is beyond its end", async () => {
    await write(Vocabulary, { ...vocabulary, special: { ...special, mask: 7 } })
    expect(await refusal(Vocabulary)).toBe(
      "cannot read F/special.json: mask: expected an id below 7, the size of the vocabulary, found 7",
    )
  })

  test("is not written if a token has a line break, which would make it two", async () => {
    const broken = Vocabulary.write(folder, { ...vocabulary, tokens: [...vocabulary.tokens, "a\nb"] })
    expect((await Effect.runPromise(Effect.flip(broken))).message).toContain(
      'the token "a\\nb" has a line break',
    )
  })
})

describe("a run", () => {
  const run = {
    seed: 3,
    steps: 2,
    warmupSteps: 1,
    loss: Float64Array.of(0.7, 0.6),
    learningRate: Float64Array.of(0, 1e-5),
    gradientNorm: Float64Array.of(3, 4),
    predictions: Int32Array.of(0, 1, 1, 0),
    labels: Int32Array.of(0, 1, 0, 0),
    majorityLabel: 0,
  }

  test.each(["loss", "learningRate", "gradientNorm", "predictions"] as const)(
    "is refused if %s has the wrong length",
    async (name) => {
      await write(Run, { ...run, [name]: run[name].slice(1) })
      expect(await refusal(Run)).toMatch(
        /^cannot read F\/run\.json: expected 2 losses, learning rates .*, found \d, \d, \d; expected 4 predictions, found \d$/,
      )
    },
  )
})

describe("observations", () => {
  const rows = observationsOf(
    type({
      "+": "reject",
      step: "number",
      name: "string",
      phi: "number | null",
      gram: type.instanceOf(Float64Array),
    }),
  )
  const given = [
    { step: 1, name: "é\n", phi: null, gram: Float64Array.of(1, 1e-300, Number.NaN, -0) },
    { step: 2, name: "", phi: 0.1 + 0.2, gram: new Float64Array(0) },
    { step: 3, name: "$array", phi: 1, gram: Float64Array.of(7) },
  ]

  test("are read bit for bit as they were written", async () => {
    await write(rows, given)
    const back = await read(rows)
    const bits = ({ gram, ...cells }: (typeof given)[number]) => ({
      ...cells,
      gram: [...new BigUint64Array(gram.slice().buffer)],
    })
    expect(back.map(bits)).toEqual(given.map(bits))
    await write(rows, [])
    expect(await read(rows)).toEqual([])
  })

  test.each([
    ["a row is missing", (lines: string[]) => lines.slice(1), "rows.jsonl: expected 3 rows, found 2"],
    ["a row is not JSON", (lines: string[]) => lines.with(1, '{"step":'), "rows.jsonl: line 2 is not JSON"],
    ["a row is not an object", (lines: string[]) => lines.with(1, "[1]"), "rows.jsonl, line 2"],
    [
      "a cell has the wrong type",
      (lines: string[]) => lines.with(2, lines[2]!.replace("3", '"3"')),
      "step must be a number (was a string)",
    ],
    [
      "an array's range is beyond the file",
      (lines: string[]) => lines.with(2, lines[2]!.replace("[4,1]", "[4,2]")),
      "line 3: expected the range of gram within 5 numbers, found 4 to 6",
    ],
  ])("are refused if %s", async (_, damage, expected) => {
    await write(rows, given)
    const path = join(folder, "rows.jsonl")
    const lines = readFileSync(path, "utf8").split("\n").slice(0, -1)
    writeFileSync(
      path,
      damage(lines)
        .map((line) => `${line}\n`)
        .join(""),
    )
    expect(await refusal(rows)).toContain(expected)
  })
})

describe("files in a folder", () => {
  test("a page is its files by path, without the folders between", async () => {
    const files = new Map<string, string | Uint8Array>([
      ["index.html", "<p>"],
      ["figures/one.svg", "<svg>"],
    ])
    await write(Page, files)
    expect(await read(Page)).toEqual({ folder, files: ["figures/one.svg", "index.html"] })
    expect(readFileSync(join(folder, "figures", "one.svg"), "utf8")).toBe("<svg>")
  })

  test("a checkpoint is its folder and its configuration", async () => {
    await write(Checkpoint, { write: (at) => writeFile(join(at, "config.json"), '{"hidden_size": 8}') })
    expect(await read(Checkpoint)).toEqual({ folder, config: { hidden_size: 8 } })
    writeFileSync(join(folder, "config.json"), "8")
    expect(await refusal(Checkpoint)).toContain("F/config.json")
  })
})
