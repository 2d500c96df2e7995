import { Effect } from "effect"
import { FileError, readText } from "../../../core/io/files.ts"
import { badLine, quoted } from "./bad-line.ts"

/** The layout of a file of tab-separated values. There is no quoting: a quotation mark is part of the text. */
export interface TsvLayout {
  /** Column names, in order; a header consists of exactly these. */
  readonly columns: readonly string[]
  readonly header: boolean
  /** Whether more columns may follow; they are not read. */
  readonly more?: boolean
}

export interface TsvRow {
  /** From 1. */
  readonly line: number
  readonly cells: readonly string[]
}

const largestTable = 2 ** 28
const cutOff = "The file seems to be cut off: copy or download it again"

/** The lines of a text without their line endings; text after the last line ending, if any, is a line too. */
export const linesOf = (text: string): readonly string[] => {
  const lines = text.split(/\r?\n/)
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines
}

/**
 * The rows of a file of tab-separated values.
 *
 * @throws FileError, with the line, if the file is missing, empty, not UTF-8, has a different header, or has a row
 *   with too few or too many columns
 */
export const readTsv = Effect.fnUntraced(function* (path: string, layout: TsvLayout) {
  const text = yield* readText(path, largestTable)
  const lines = linesOf(text)
  const { columns } = layout
  const rows: TsvRow[] = []
  for (const [i, content] of lines.entries()) {
    const line = i + 1
    const cells = content.split("\t")
    if (line === 1 && layout.header) {
      if (cells.join("\t") === columns.join("\t")) continue
      return yield* badLine(path, "line 1", quoted(content), `the header ${quoted(columns.join("\t"))}`)
    }
    if (cells.length < columns.length || (cells.length > columns.length && layout.more !== true)) {
      const found = String(cells.length)
      const expected = `${columns.length}${layout.more === true ? " or more" : ""} columns (${columns.join(", ")})`
      const last = line === lines.length && !text.endsWith("\n") && cells.length < columns.length
      return yield* badLine(path, `line ${line}`, found, expected, last ? cutOff : undefined)
    }
    rows.push({ line, cells })
  }
  if (rows.length > 0) return rows
  const found = lines.length === 0 ? "it is empty" : "it has a header but no rows"
  return yield* new FileError({ path, doing: "read", found, advice: cutOff })
})
