import { Effect } from "effect"
import { FileError, fileError, readText } from "../../../core/io/files.ts"
import { badLine, quoted } from "../shared/bad-line.ts"
import type { Place } from "../shared/labelled.ts"
import { readParquet } from "../shared/parquet.ts"
import { linesOf, positionsIn, readTsv } from "../shared/tsv.ts"
import { csvRows } from "./csv.ts"

/** A row of a table, with the cells of the columns asked for, as its file has them. */
export interface TableRow extends Place {
  readonly cells: readonly unknown[]
}

export const formats = ["tsv", "csv", "jsonl", "parquet"] as const
export type Format = (typeof formats)[number]

/** The format that a file's name tells; undefined if it tells none. */
export const formatOf = (name: string): Format | undefined =>
  formats.find((format) => name.toLowerCase().endsWith(`.${format}`))

const largestText = 2 ** 28

/**
 * The given columns of a table, found by their names.
 *
 * @throws FileError if the file is missing, damaged, too large, has no rows, or lacks a column
 */
export const readTable = Effect.fnUntraced(function* (
  path: string,
  format: Format,
  columns: readonly string[],
) {
  if (format === "parquet") {
    const rows = yield* readParquet(path, columns)
    return rows.map((cells, i): TableRow => ({ path, where: `row ${i + 1}`, cells }))
  }
  if (format === "tsv") {
    const rows = yield* readTsv(path, { columns, header: true })
    return rows.map(({ line, cells }): TableRow => ({ path, where: `line ${line}`, cells }))
  }
  const text = yield* readText(path, largestText)
  const rows = yield* Effect.try({
    try: () => (format === "csv" ? rowsOfCsv(path, text, columns) : rowsOfJsonLines(path, text, columns)),
    catch: (cause) => fileError("read", path, cause),
  })
  if (rows.length > 0) return rows
  return yield* new FileError({ path, doing: "read", found: "it has no rows" })
})

const rowsOfCsv = (path: string, text: string, columns: readonly string[]): readonly TableRow[] => {
  const rows = csvRows(path, text)
  const header = rows.next().value?.cells ?? []
  const positions = positionsIn(path, header, columns)
  return Array.from(rows, ({ line, cells }) => {
    const where = `line ${line}`
    if (cells.length === header.length) return { path, where, cells: positions.map((at) => cells[at]) }
    throw badLine(path, where, `${cells.length}`, `${header.length} columns (${header.join(", ")})`)
  })
}

const rowsOfJsonLines = (path: string, text: string, columns: readonly string[]): readonly TableRow[] =>
  linesOf(text).flatMap((line, i) => {
    if (line.trim() === "") return []
    const where = `line ${i + 1}`
    const row = objectOf(line)
    if (row === undefined) throw badLine(path, where, quoted(line), "a JSON object")
    const missing = columns.find((column) => !Object.hasOwn(row, column))
    if (missing === undefined) return [{ path, where, cells: columns.map((column) => row[column]) }]
    throw badLine(path, where, Object.keys(row).join(", ") || "none", `the keys ${columns.join(", ")}`)
  })

const objectOf = (line: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
