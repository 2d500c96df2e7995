import { Effect } from "effect"
import { FileError, fileError, readText } from "../../../core/io/files.ts"
import { parseJson } from "../../../core/io/json.ts"
import { badLine, quoted } from "../shared/bad-line.ts"
import type { Format } from "../shared/format.ts"
import type { Place } from "../shared/labelled.ts"
import { largestTable, mostRows, tooManyRows } from "../shared/limits.ts"
import { readParquet } from "../shared/parquet.ts"
import { positionsIn, readTsv } from "../shared/tsv.ts"
import { csvRows } from "./csv.ts"

/** A row of a table, with the cells of the columns asked for, as its file has them. */
export interface TableRow extends Place {
  readonly cells: readonly unknown[]
}

/**
 * The given columns of a table, found by their names.
 *
 * @param first how many rows to read from the start
 * @throws FileError if the file is missing, damaged, too large, has no rows, or lacks a column
 */
export const readTable = Effect.fnUntraced(function* (
  path: string,
  format: Format,
  columns: readonly string[],
  first = Number.POSITIVE_INFINITY,
) {
  if (format === "parquet") {
    const rows = yield* readParquet(path, columns, first)
    return rows.map((cells, i): TableRow => ({ path, where: `row ${i + 1}`, cells }))
  }
  if (format === "tsv") {
    const rows = yield* readTsv(path, { columns, header: true, first })
    return rows.map(({ line, cells }): TableRow => ({ path, where: `line ${line}`, cells }))
  }
  const text = yield* readText(path, largestTable)
  const rowsOf = format === "csv" ? rowsOfCsv : rowsOfJsonLines
  const rows = yield* Effect.try({
    try: () => {
      const rows: TableRow[] = []
      for (const row of rowsOf(path, text, columns)) {
        rows.push(row)
        if (rows.length >= first) break
        if (rows.length > mostRows) throw tooManyRows(path)
      }
      return rows
    },
    catch: (cause) => fileError("read", path, cause),
  })
  if (rows.length > 0) return rows
  return yield* new FileError({ path, doing: "read", found: "it has no rows" })
})

function* rowsOfCsv(path: string, text: string, columns: readonly string[]): Generator<TableRow, void> {
  const rows = csvRows(path, text)
  const header = rows.next().value?.cells ?? []
  const positions = positionsIn(path, header, columns)
  for (const { line, cells } of rows) {
    const where = `line ${line}`
    if (cells.length !== header.length) {
      throw badLine(path, where, `${cells.length}`, `${header.length} columns (${header.join(", ")})`)
    }
    yield { path, where, cells: positions.map((at) => cells[at]) }
  }
}

function* rowsOfJsonLines(path: string, text: string, columns: readonly string[]): Generator<TableRow, void> {
  for (const [i, line] of linesIn(text)) {
    if (line.trim() === "") continue
    const where = `line ${i}`
    const row = objectOf(line)
    if (row === undefined) throw badLine(path, where, quoted(line), "a JSON object")
    const missing = columns.find((column) => !Object.hasOwn(row, column))
    if (missing !== undefined) {
      throw badLine(path, where, Object.keys(row).join(", ") || "none", `the keys ${columns.join(", ")}`)
    }
    yield { path, where, cells: columns.map((column) => row[column]) }
  }
}

/** The lines of a text one by one, numbered from 1. */
function* linesIn(text: string): Generator<readonly [line: number, text: string], void> {
  let line = 1
  for (let at = 0; at < text.length; line++) {
    const end = text.indexOf("\n", at)
    yield [line, text.slice(at, end < 0 ? undefined : end)]
    at = end < 0 ? text.length : end + 1
  }
}

const objectOf = (line: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = parseJson(line)
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
