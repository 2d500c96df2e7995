import { describe, expect, test } from "bun:test"
import { rmSync, truncateSync } from "node:fs"
import { Corpus } from "../../../core/artifacts/corpus.ts"
import { packSequences } from "../../../core/artifacts/sequences.ts"
import { artifactFolder, sequences, special } from "./artifact-folder.ts"

const { path, write, read, refusal, edit, overwrite } = artifactFolder()

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
      () => rmSync(path("sentences.ids.i32")),
      "sentences.ids.i32: there is no such file",
    ],
    [
      "a file is cut off",
      () => truncateSync(path("sentences.ids.i32"), 42),
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
    ["the JSON is cut off", () => truncateSync(path("corpus.json"), 20), "F/corpus.json: it is not JSON"],
  ])("is refused if %s", async (_, damage, expected) => {
    await write(Corpus, corpus)
    damage()
    expect(await refusal(Corpus)).toContain(expected)
  })
})
