import type { Readable } from "node:stream"

/**
 * Calls `onLine` with each line of a text that arrives in pieces. Only "\n" ends a line: JSON may have all other line
 * ends within strings, and `node:readline` splits at some of them (U+2028, U+2029).
 */
export const readLines = (stream: Readable, onLine: (line: string) => void): void => {
  let line = ""
  stream.setEncoding("utf8").on("data", (text: string) => {
    const [rest, ...others] = text.split("\n")
    line += rest
    for (const next of others) {
      onLine(line)
      line = next
    }
  })
}
