import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { sharesOf } from "../../../core/engine/shares.ts"
import { sampleFile } from "../sample/study.ts"
import { nativeBuilds } from "../tensor/every-definition.ts"
import { start } from "./command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-threads-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const started = (out: string, settings: readonly string[], ...flags: readonly string[]) =>
  start([
    ...["pipeline", sampleFile, "--backend", "native", "--jobs", "2", "--out", out, ...flags],
    ...["lr=1", ...settings].flatMap((setting) => ["--set", setting]),
  ])

/** How many threads the probes of the sample, which compute on the backend, were given while they were made. */
const threadsIn = (out: string): readonly (readonly number[])[] =>
  readdirSync(join(out, "artifacts"))
    .filter((name) => name.startsWith("sample-watch-"))
    .map((name) => JSON.parse(readFileSync(join(out, "artifacts", name, "manifest.json"), "utf8")))
    .map(({ madeBy }) => madeBy.computed.threads)

const cores = availableParallelism()

describe.skipIf(!nativeBuilds)("threads", () => {
  test("of a job that runs alone are as many as the cores, also if two jobs might run", async () => {
    const out = join(root, "alone")
    expect((await started(out, ["seeds=1"]).ended).code).toBe(0)
    expect(threadsIn(out)).toEqual([[cores]])
  })

  test("of two jobs at the same time are a share of the cores each", async () => {
    const out = join(root, "together")
    const hold = join(root, "hold")
    writeFileSync(hold, "")
    const run = started(out, ["seeds=1,2", "aloud=true", `hold=${hold}`])
    await run.said("seed 1 at step 3")
    await run.said("seed 2 at step 3")
    rmSync(hold)
    expect((await run.ended).code).toBe(0)
    const shares = sharesOf(cores, [true, true])
    for (const threads of threadsIn(out)) {
      expect(threads.some((each) => shares.includes(each))).toBe(true)
      for (const each of threads) expect([...shares, cores]).toContain(each)
    }
  })

  test("are as many as were asked for, whatever else runs", async () => {
    const out = join(root, "asked")
    expect((await started(out, ["seeds=1,2"], "--threads", "3").ended).code).toBe(0)
    expect(threadsIn(out)).toEqual([[3], [3]])
  })
})
