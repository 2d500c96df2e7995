import { badLine, quoted } from "../shared/bad-line.ts"

export interface CsvRow {
  /** The line on which the row starts, from 1. */
  readonly line: number
  readonly cells: readonly string[]
}

/**
 * The rows of comma-separated values (RFC 4180): cells in quotation marks may contain commas, line endings and doubled
 * quotation marks. Lines may end as on Unix; empty lines are left out.
 *
 * @throws FileError, with the line and column, if quotation marks are where they may not be
 */
export function* csvRows(path: string, text: string): Generator<CsvRow, void> {
  const endOfCell = /[,\n"]/g
  let at = 0
  let line = 1
  while (at < text.length) {
    const start = line
    const cells: string[] = []
    const refused = (found: string, expected: string) =>
      badLine(path, `line ${line}, column ${cells.length + 1}`, found, expected)
    for (;;) {
      if (text[at] === '"') {
        const end = closingMark(text, at + 1)
        if (end < 0) {
          throw badLine(path, `line ${start}, column ${cells.length + 1}`, "none", "a closing quotation mark")
        }
        const cell = text.slice(at + 1, end)
        line += cell.split("\n").length - 1
        at = end + 1
        const next = text[at] === "\r" && text[at + 1] === "\n" ? "\n" : text[at]
        if (next !== undefined && next !== "," && next !== "\n") {
          throw refused(
            quoted(text.slice(at, at + 20)),
            "a comma or the end of the line after the closing mark",
          )
        }
        cells.push(cell.replaceAll('""', '"'))
        if (text[at] === "\r") at++
      } else {
        endOfCell.lastIndex = at
        const end = endOfCell.exec(text)?.index ?? text.length
        if (text[end] === '"') {
          throw refused(
            quoted(text.slice(at, end + 1)),
            "a cell that has a quotation mark to be in quotation marks",
          )
        }
        cells.push(text[end] === "," ? text.slice(at, end) : text.slice(at, end).replace(/\r$/, ""))
        at = end
      }
      if (text[at] !== ",") break
      at++
    }
    at++
    line++
    if (cells.length > 1 || cells[0] !== "") yield { line: start, cells }
  }
}

/** The position of the mark that closes a cell whose content starts at `from`; −1 if there is none. */
const closingMark = (text: string, from: number): number => {
  let end = text.indexOf('"', from)
  while (end >= 0 && text[end + 1] === '"') end = text.indexOf('"', end + 2)
  return end
}
