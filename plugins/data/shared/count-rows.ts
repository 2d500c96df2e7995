import { closeSync, fstatSync, openSync, readSync } from "node:fs"
import { parquetMetadata } from "hyparquet"
import type { Format } from "./format.ts"

/** Bytes; more is refused when the file is read. */
const largestMetadata = 2 ** 24

/** Of a file that is not there yet. */
const usualRows = 10_000

/**
 * How many rows a table has, without reading it: from the footer of parquet, otherwise the number of its lines, which a
 * cell with line endings or an empty line makes too high. Usual numbers for a file that is not there or is damaged:
 * the plan reports it elsewhere.
 *
 * @param header whether the first line of text is none
 */
export const countRows = (path: string, format: Format, header = format !== "jsonl"): number => {
  try {
    const file = openSync(path, "r")
    try {
      if (format === "parquet") return rowsOfParquet(file)
      const lines = linesOfText(file)
      return Math.max(1, header ? lines - 1 : lines)
    } finally {
      closeSync(file)
    }
  } catch {
    return usualRows
  }
}

const rowsOfParquet = (file: number): number => {
  const { size } = fstatSync(file)
  // A file ends with its metadata, their length in four bytes, and the four letters PAR1.
  const length = pieceOf(file, size - 8, 8).readUInt32LE(0)
  if (length > Math.min(size, largestMetadata)) return usualRows
  return Number(parquetMetadata(pieceOf(file, size - 8 - length, length + 8)).num_rows)
}

const pieceOf = (file: number, start: number, length: number): Buffer => {
  const piece = Buffer.alloc(length)
  readSync(file, piece, 0, length, start)
  return piece
}

const newline = 10

const linesOfText = (file: number): number => {
  const buffer = Buffer.alloc(2 ** 20)
  let lines = 0
  let last = newline
  for (;;) {
    const length = readSync(file, buffer, 0, buffer.length, null)
    if (length === 0) return last === newline ? lines : lines + 1
    const piece = buffer.subarray(0, length)
    for (let at = piece.indexOf(newline); at >= 0; at = piece.indexOf(newline, at + 1)) lines++
    last = piece[length - 1]!
  }
}
