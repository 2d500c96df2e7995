import { describe, expect, test } from "bun:test"
import { csvRows } from "../../../../plugins/data/table/csv.ts"

const cells = (text: string) => [...csvRows("F.csv", text)].map((row) => row.cells)
const lines = (text: string) => [...csvRows("F.csv", text)].map((row) => row.line)

describe("comma-separated values", () => {
  test.each<[string, readonly (readonly string[])[]]>([
    ["", []],
    [
      "a,b\r\n1,2\r\n",
      [
        ["a", "b"],
        ["1", "2"],
      ],
    ],
    [
      "a,b\n1,2",
      [
        ["a", "b"],
        ["1", "2"],
      ],
    ],
    [
      "a,b\n,\n",
      [
        ["a", "b"],
        ["", ""],
      ],
    ],
    ["a\n\n\r\nb\n", [["a"], ["b"]]],
    ['"a ""b""",c\n', [['a "b"', "c"]]],
    [
      '"a,b","c\r\nd"\r\ne,"f"',
      [
        ["a,b", "c\r\nd"],
        ["e", "f"],
      ],
    ],
    ['"",""\n""', [["", ""]]],
    ['""""\n', [['"']]],
    ["a, b ,c\n", [["a", " b ", "c"]]],
    ["é,日本\n", [["é", "日本"]]],
  ])("%j", (text, expected) => {
    expect<unknown>(cells(text)).toEqual(expected)
  })

  test("rows have the line on which they start", () => {
    expect(lines('a,b\n"1\n2\n3",4\n\n5,"6\r\n"\n7,8')).toEqual([1, 2, 6, 8])
  })

  test("what RFC 4180's writers write is read back", () => {
    const pieces = ["", "a", '"', ",", "\n", "\r\n", ' "b", ', '""']
    const rows = pieces.flatMap((a) => pieces.flatMap((b) => pieces.map((c) => [a, b, c])))
    const text = rows
      .map((row) => row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(","))
      .join("\r\n")
    expect<unknown>(cells(text)).toEqual(rows)
  })

  test.each([
    [
      'a,b\n"1,2\n3,4\n',
      "cannot read F.csv: line 2, column 1: expected a closing quotation mark, found none",
    ],
    [
      'a,b\n1,"2"3\n',
      'cannot read F.csv: line 2, column 2: expected a comma or the end of the line after the closing mark, found "3\\n"',
    ],
    [
      'a,b\n1,2 "3"\n',
      'cannot read F.csv: line 2, column 2: expected a cell that has a quotation mark to be in quotation marks, found "2 \\""',
    ],
  ])("%j is refused", (text, message) => {
    expect(() => cells(text)).toThrow(message)
  })
})
