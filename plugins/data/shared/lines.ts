import { createReadStream } from "node:fs"
import { createGunzip } from "node:zlib"
import { errorCode, FileError, fileError } from "../../../core/io/files.ts"

export interface Line {
  /** From 1. */
  readonly line: number
  readonly text: string
}

/** Lines read together. */
export interface LinesRead {
  readonly lines: readonly Line[]
  /** How many bytes of the file (before decompression) have been read so far. */
  readonly bytes: number
  /** Whether the file goes on after them, or ends with a line ending. */
  readonly ended: boolean
}

const newline = 10
const longestLine = 2 ** 16
/** How many times its size text unpacks to; of sentences it is about four times. */
const mostTimes = 100
/** Bytes that any file may unpack to. */
const alwaysUnpacked = 2 ** 24

/**
 * The lines of a UTF-8 text file, gzipped if its name ends in `.gz`, some hundred at a time: the whole file is never
 * in memory.
 *
 * @throws FileError, with the line, if the file is missing, is not UTF-8, has a line of more than 65,536 bytes, or
 *   ends in `.gz` and is damaged, incomplete, not a gzip file, or unpacks to more than 16 MiB and 100 times its size
 */
export async function* streamLines(path: string): AsyncGenerator<LinesRead, void> {
  const source = createReadStream(path)
  const compressed = path.endsWith(".gz")
  const stream = compressed ? source.pipe(createGunzip()) : source
  source.on("error", (cause) => stream.destroy(cause))
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let line = 0
  let unpacked = 0
  let rest: Uint8Array = new Uint8Array(0)

  const broken = (found: string, advice?: string) =>
    new FileError({ path, doing: "read", found, ...(advice === undefined ? {} : { advice }) })
  const decoded = (bytes: Uint8Array): Line => {
    line++
    if (bytes.length > longestLine) {
      throw broken(
        `line ${line} has more than ${longestLine} bytes`,
        "Put each sentence on a line of its own",
      )
    }
    try {
      return { line, text: decoder.decode(bytes) }
    } catch {
      throw broken(`line ${line} is not UTF-8`, "Convert it to UTF-8")
    }
  }

  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      unpacked += chunk.length
      if (unpacked > alwaysUnpacked + mostTimes * source.bytesRead) {
        throw broken(
          `its first ${source.bytesRead} bytes unpack to more than ${unpacked}; expected at most ${mostTimes} times as many and ${alwaysUnpacked}`,
        )
      }
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const lines: Line[] = []
      let start = 0
      for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
        lines.push(decoded(bytes.subarray(start, end)))
        start = end + 1
      }
      rest = bytes.slice(start)
      if (rest.length > longestLine) decoded(rest)
      yield { lines, bytes: source.bytesRead, ended: true }
    }
    if (rest.length > 0) yield { lines: [decoded(rest)], bytes: source.bytesRead, ended: false }
  } catch (cause) {
    const code = errorCode(cause)
    if (!code.startsWith("Z_")) throw fileError("read", path, cause)
    throw code === "Z_BUF_ERROR"
      ? broken(`its gzip data are cut off somewhere after line ${line}`, "Copy or download it again")
      : broken(
          `its gzip data are damaged somewhere after line ${line} (${String(cause)})`,
          "Copy or download it again",
        )
  } finally {
    stream.destroy()
    source.destroy()
  }
}
