import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command } from "./command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kasosei-check-"))
  mkdirSync(join(folder, "glue"))
  for (const name of ["train.tsv", "dev.tsv"])
    writeFileSync(join(folder, "glue", name), "sentence\tlabel\nA fine film.\t1\nA dull one.\t0\n")
  writeFileSync(join(folder, "corpus.txt"), "\n\n\n")
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test("a run whose files are of another task is refused before anything is made, and so is its plan", async () => {
  const out = join(folder, "out")
  const settings = {
    task: "rte",
    glue: join(folder, "glue"),
    corpus: join(folder, "corpus.txt"),
    vocabulary: join(import.meta.dir, "..", "..", "fixtures", "vocab.txt"),
  }
  const set = Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`])
  for (const flags of [["--plan"], []]) {
    const ended = await command(["pipeline", "mini.ts", "--backend", "cpu", "--out", out, ...flags, ...set])
    expect(ended.code).toBe(2)
    expect(ended.stdout).toBe("")
    expect(ended.stderr).toContain("expected a header with the columns sentence1, sentence2, label")
    expect(ended.stderr).toContain(`cannot read ${settings.corpus}: it has no sentences`)
  }
  const made = existsSync(join(out, "artifacts")) ? readdirSync(join(out, "artifacts")) : []
  expect(made).toEqual([])
})
