import { expect, test } from "bun:test"
import { PassThrough } from "node:stream"
import { finished } from "node:stream/promises"
import { readLines } from "../../../../core/engine/workers/lines.ts"

test.each([1, 2, 3, 7, 1000])(
  "lines in pieces of %i bytes end at \\n alone, whatever they contain",
  async (size) => {
    const lines = ["", '{"a":"one\u2028two\u2029three\u0085four\rfive"}', "ï🙂", "x".repeat(500), ""]
    const bytes = Buffer.from(`${lines.join("\n")}\nunfinished`)
    const stream = new PassThrough()
    const found: string[] = []
    readLines(stream, (line) => found.push(line))
    for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size))
    stream.end()
    await finished(stream)
    expect(found).toEqual(lines)
  },
)
