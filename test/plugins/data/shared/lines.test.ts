import { expect, test } from "bun:test"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { streamLines } from "../../../../plugins/data/shared/lines.ts"
import { withFiles } from "../running.ts"

const count = async (path: string) => {
  let lines = 0
  for await (const read of streamLines(path)) lines += read.lines.length
  return lines
}

test("a gzipped file that unpacks to hundreds of times its size is refused before it is all unpacked", async () => {
  const spaces = `${" ".repeat(50_000)}\n`
  const files = { "bomb.gz": gzipSync(spaces.repeat(2000)), "small.gz": gzipSync(spaces.repeat(100)) }
  await withFiles(files, async (folder) => {
    await expect(count(join(folder, "bomb.gz"))).rejects.toThrow(
      /its first \d+ bytes unpack to more than \d+; expected at most 100 times as many and 16777216/,
    )
    // As repetitive, but not large.
    expect(await count(join(folder, "small.gz"))).toBe(100)
  })
})
