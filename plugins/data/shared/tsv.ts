import { Effect } from "effect"
import { FileError, readText } from "../../../core/io/files.ts"
import { badLine, quoted } from "./bad-line.ts"

/** How a file of tab-separated values is laid out. Nothing is quoted: a quotation mark is a character of the text. */
export interface TsvLayout {
  /** The names of the columns, in order; where there is a header, it consists of them. */
  readonly columns: readonly string[]
  readonly header: boolean
  /** Whether columns may follow that are not read. */
  readonly more?: boolean
}

export interface TsvRow {
  /** From 1. */
  readonly line: number
  readonly cells: readonly string[]
}

const largestTable = 2 ** 28
const cutOff = "The file seems to be cut off: copy or download it again"

/** The lines of a text, without their ends; what follows the last end is a line too, unless it is nothing. */
export const linesOf = (text: string): readonly string[] => {
  const lines = text.split(/\r?\n/)
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines
}

/**
 * The rows of a file of tab-separated values.
 *
 * @throws FileError with the line, where the file is missing, empty, not UTF-8, has another header, or has a row
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
      return yield* badLine(
        path,
        "line 1",
        `is ${quoted(content)}`,
        `the header ${quoted(columns.join("\t"))} was`,
      )
    }
    if (cells.length < columns.length || (cells.length > columns.length && layout.more !== true)) {
      const found = `has ${cells.length} ${cells.length === 1 ? "column" : "columns"}`
      const expected = `${columns.length}${layout.more === true ? " or more" : ""} (${columns.join(", ")}) were`
      const last = line === lines.length && !text.endsWith("\n") && cells.length < columns.length
      return yield* badLine(path, `line ${line}`, found, expected, last ? cutOff : undefined)
    }
    rows.push({ line, cells })
  }
  if (rows.length > 0) return rows
  const found = lines.length === 0 ? "it is empty" : "it has a header and nothing else"
  return yield* new FileError({ path, doing: "read", found, advice: cutOff })
})
