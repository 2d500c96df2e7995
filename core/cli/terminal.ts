/**
 * What this process writes to its terminal. Text from files, options, servers and workers may have control characters,
 * which a terminal would obey; they are escaped here, so that whoever writes a message need not remember it.
 */
import { printable } from "../io/format.ts"

/** Line endings, and the tabs of completion scripts and compilers' messages. */
const kept = "\n\t"

const streams = [process.stdout, process.stderr]
const [, unguarded] = streams.map((stream) => stream.write.bind(stream))

/** From now on, no text that is written to standard output or standard error has control characters. */
export const guardTerminal = (): void => {
  for (const stream of streams) {
    const write = stream.write.bind(stream) as (...args: readonly unknown[]) => boolean
    stream.write = ((chunk: unknown, ...rest: readonly unknown[]) =>
      write(typeof chunk === "string" ? printable(chunk, kept) : chunk, ...rest)) as typeof stream.write
  }
}

/** Standard error for those that move the cursor: they escape what they show by themselves. */
export const screen = {
  get isTTY() {
    return process.stderr.isTTY
  },
  get rows() {
    return process.stderr.rows
  },
  get columns() {
    return process.stderr.columns
  },
  write: (text: string): unknown => unguarded!(text),
}
