import { describe, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { type } from "arktype"
import { observationsOf } from "../../../core/artifacts/observations.ts"
import { artifactFolder } from "./artifact-folder.ts"

const { path, write, read, refusal } = artifactFolder()

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
    const file = path("rows.jsonl")
    const lines = readFileSync(file, "utf8").split("\n").slice(0, -1)
    writeFileSync(
      file,
      damage(lines)
        .map((line) => `${line}\n`)
        .join(""),
    )
    expect(await refusal(rows)).toContain(expected)
  })
})
