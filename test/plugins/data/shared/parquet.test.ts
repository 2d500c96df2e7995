import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { Effect } from "effect"
import { readParquet } from "../../../../plugins/data/shared/parquet.ts"
import { withFiles } from "../running.ts"
import { type Column, type Page, parquetFile, plainText, repeated } from "./parquet/parquet-file.ts"

const read = (file: Uint8Array, columns: readonly string[], first?: number) =>
  withFiles({ "a.parquet": file }, (folder) =>
    Effect.runPromise(readParquet(join(folder, "a.parquet"), columns, first)),
  )
const refusal = (file: Uint8Array, columns: readonly string[] = ["text"]) =>
  withFiles(
    { "a.parquet": file },
    async (folder) =>
      (await Effect.runPromise(Effect.flip(readParquet(join(folder, "a.parquet"), columns)))).message,
  )

const dictionary: Page = { type: 2, values: 1, encoding: 0, content: plainText("a sentence") }
/** Indices of the dictionary's only text. */
const sameText = (rows: number): Page => ({ type: 0, values: rows, encoding: 8, content: repeated(0, rows) })
const plain = (...texts: readonly string[]): Page => ({
  type: 0,
  values: texts.length,
  encoding: 0,
  content: texts.flatMap(plainText),
})
const text = (...pages: readonly Page[]): Column => ({ name: "text", pages })

describe("a parquet file", () => {
  test("has plain texts, those of a dictionary, and several pages of them", async () => {
    const columns = [
      text(plain("one", "two"), plain("three")),
      { name: "same", pages: [dictionary, sameText(3)] },
    ]
    expect(await read(parquetFile(columns, 3), ["same", "text"])).toEqual([
      ["a sentence", "one"],
      ["a sentence", "two"],
      ["a sentence", "three"],
    ])
  })

  test("of few bytes may say that it has a million rows, and of more is refused", async () => {
    expect(await read(parquetFile([text(dictionary, sameText(1e6))], 1e6), ["text"])).toHaveLength(1e6)
    const bomb = parquetFile([text(dictionary, sameText(1e7))], 1e7)
    expect(bomb.length).toBeLessThan(300)
    expect(await refusal(bomb)).toContain("expected at most 1000000 rows, found 10000000")
  })

  test("is believed only what its pages can have", async () => {
    const refused = (...pages: readonly Page[]) => refusal(parquetFile([text(...pages)], 10))
    expect(await refused(dictionary, { ...sameText(10), values: 2 ** 31 - 1 })).toContain(
      "a page of 2147483647 values in the column text, which has 10 rows left",
    )
    expect(await refused(dictionary, { ...sameText(10), content: repeated(0, 2 ** 31 - 1) })).toContain(
      "a run of 2147483647 values where 10 are left",
    )
    expect(await refused({ ...dictionary, values: 2 ** 30 }, sameText(10))).toContain(
      "a dictionary of 1073741824 values",
    )
    expect(await refused({ ...plain("one"), packed: 2 ** 30 })).toContain("a page of 1073741824 bytes")
    expect(await refused({ ...plain("one"), values: -1 })).toContain("a page of -1 values")
    expect(await refused(plain("one", "two"))).toContain("2 of 10 values of the column text")
    expect(await refused({ ...plain("one"), encoding: 5 })).toContain("encoded as DELTA_BINARY_PACKED")
    const packed = { ...text({ ...plain("one"), unpacked: 2 ** 31 - 1 }), codec: 1 }
    expect(await refusal(parquetFile([packed], 10))).toContain("that unpacks to 2147483647")
  })

  test("whose start is asked for is not read to its end", async () => {
    // All of the group of rows that the start is in.
    expect(await read(parquetFile([text(plain("one", "two"))], 2), ["text"], 1)).toHaveLength(2)
  })

  test("lacks a column, has no rows, or is none", async () => {
    expect(await refusal(parquetFile([text(plain("one"))], 1), ["text", "label"])).toContain(
      "expected the columns text, label; found text",
    )
    expect(await refusal(parquetFile([text()], 0))).toContain("it has no rows")
    expect(await refusal(new TextEncoder().encode("PAR1 is not enough PAR1"))).toContain(
      "it is damaged, or not a parquet file",
    )
  })
})
