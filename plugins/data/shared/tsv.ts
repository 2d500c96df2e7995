import type { Effect } from "effect"
import { attempt, FileError } from "../../../core/io/files.ts"
import { badLine, quoted } from "./bad-line.ts"
import { largestTable, mostRows, tooManyRows } from "./limits.ts"
import { streamLines } from "./lines.ts"

/** The layout of a file of tab-separated values. There is no quoting: a quotation mark is part of the text. */
export interface TsvLayout {
  /** The columns to read, by their names in the header; in a file without a header, all columns in order. */
  readonly columns: readonly string[]
  readonly header: boolean
  /** Whether rows of a file without a header may have more columns; they are not read. */
  readonly more?: boolean
  /** Whether rows with too few columns are left out instead of refused. */
  readonly leaveOutShort?: boolean
  /** How many rows to read from the start; all by default. */
  readonly first?: number
}

export interface TsvRow {
  /** From 1. */
  readonly line: number
  /** In the order of the layout's columns. */
  readonly cells: readonly string[]
}

const cutOff = "The file seems to be cut off: copy or download it again"

/** The lines of a text without their line endings; text after the last line ending, if any, is a line too. */
export const linesOf = (text: string): readonly string[] => {
  const lines = text.split(/\r?\n/)
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines
}

/**
 * The rows of a file of tab-separated values.
 *
 * @throws FileError, with the line, if the file is missing, empty, larger than 256 MiB, not UTF-8, lacks a column, or has
 *   a row with too few or too many columns, or too many rows
 */
export const readTsv = (path: string, layout: TsvLayout): Effect.Effect<readonly TsvRow[], FileError> =>
  attempt("read", path, async () => {
    const rows: TsvRow[] = []
    const row = rowReader(path, layout)
    const { first = Number.POSITIVE_INFINITY } = layout
    let last = 0
    for await (const { lines, bytes, ended } of streamLines(path)) {
      if (bytes > largestTable) {
        const found = `expected at most ${largestTable} bytes, found more`
        throw new FileError({ path, doing: "read", found })
      }
      for (const { line, text } of lines) {
        const read = row(line, text.replace(/\r$/, ""), ended)
        if (read !== undefined) rows.push(read)
        if (rows.length >= first) return rows
        if (rows.length > mostRows) throw tooManyRows(path)
        last = line
      }
    }
    if (rows.length > 0) return rows
    const found = last === 0 ? "it is empty" : "it has a header but no rows"
    throw new FileError({ path, doing: "read", found, advice: cutOff })
  })

/** A function that reads one line after the other; `ended`: whether the line has a line ending. */
const rowReader = (path: string, { columns, header, more = false, leaveOutShort = false }: TsvLayout) => {
  let names = header ? undefined : columns
  let positions: readonly number[] = columns.map((_, i) => i)
  return (line: number, text: string, ended: boolean): TsvRow | undefined => {
    const cells = text.split("\t")
    if (names === undefined) {
      names = cells
      positions = positionsIn(path, cells, columns)
      return undefined
    }
    const short = cells.length < names.length
    if (short && leaveOutShort && ended) return undefined
    if (short || (cells.length > names.length && !more)) {
      const expected = `${names.length}${more ? " or more" : ""} columns (${names.join(", ")})`
      throw badLine(path, `line ${line}`, `${cells.length}`, expected, short && !ended ? cutOff : undefined)
    }
    return { line, cells: positions.map((position) => detached(cells[position]!)) }
  }
}

/**
 * Where a header has the columns.
 *
 * @throws FileError if one is not there, or is there twice
 */
export const positionsIn = (
  path: string,
  header: readonly string[],
  columns: readonly string[],
): readonly number[] =>
  columns.map((column) => {
    const position = header.indexOf(column)
    if (position >= 0 && position === header.lastIndexOf(column)) return position
    const found = position < 0 ? quoted(header.join(", ")) : `${column} more than once`
    throw badLine(path, "line 1", found, `a header with the columns ${columns.join(", ")}`)
  })

/** A copy: a part of a string would keep the whole line in memory, most of which is not read in MNLI. */
const detached = (text: string): string => Buffer.from(text).toString()
