/** Several processes that work on one store: each unit is made once, whoever of them vanishes. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { vitalsOf } from "../../../core/engine/workers/vitals.ts"
import { childrenOf, command, digests, sample, start, untilEnded } from "./command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(240_000)

let root: string
let whole: Readonly<Record<string, string>>
const seeds = [1, 2, 3, 4, 5]
let hold: string
/** Five runs that wait at step 3 until the file `hold` is removed. */
const settings = () => ["lr=1", `seeds=${seeds}`, "aloud=true", `hold=${hold}`]
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "kasosei-sharing-"))
  hold = join(root, "hold")
  const undisturbed = await command(sample(join(root, "whole"), settings(), ["--jobs", "5"]))
  expect(undisturbed.code).toBe(0)
  whole = digests(join(root, "whole"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** The digests of all artifacts but the report. */
const digestsOfRuns = (out: string) =>
  Object.fromEntries(Object.entries(digests(out)).filter(([name]) => !name.startsWith("sample-listing")))

/** How many units it says that it made. */
const madeBy = ({ stderr }: { readonly stderr: string }) => Number(/(\d+) units? made/.exec(stderr)![1])
/** How often each run printed this step. */
const printed = (step: number, ...ended: readonly { readonly stderr: string }[]) =>
  seeds.map((seed) => ended.map(({ stderr }) => stderr.split(`seed ${seed} at step ${step}`).length - 1))
const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)

test("three that start at once share the work, make nothing twice, and end with the same", async () => {
  const out = join(root, "three")
  writeFileSync(hold, "")
  const running = [1, 2, 3].map(() => start(sample(out, settings(), ["--jobs", "2"])))
  // Nobody waits idly for another: between them they hold all five runs.
  for (const seed of seeds) await Promise.race(running.map((each) => each.said(`seed ${seed} at step 3`)))
  rmSync(hold)
  const ended = await Promise.all(running.map((each) => each.ended))
  expect(ended.map(({ code }) => code)).toEqual([0, 0, 0])
  expect(digests(out)).toEqual(whole)
  const units = readdirSync(join(out, "artifacts")).length
  expect(sum(ended.map(madeBy))).toBe(units)
  for (const step of [0, 3, 4]) {
    expect(printed(step, ...ended).map(sum)).toEqual([1, 1, 1, 1, 1])
  }
  for (const name of ["leases", "owners", "tmp"])
    expect([name, readdirSync(join(out, name))]).toEqual([name, []])
})

test("what one was making that vanishes with its workers is made by another, and nothing else again", async () => {
  const out = join(root, "vanishing")
  writeFileSync(hold, "")
  const [vanishing, other] = [1, 2].map(() => start(sample(out, settings(), ["--jobs", "3"])))
  for (const seed of seeds) {
    await Promise.race([vanishing!.said(`seed ${seed} at step 3`), other!.said(`seed ${seed} at step 3`)])
  }
  const workers = childrenOf(vanishing!.pid)
  for (const pid of workers) process.kill(pid, "SIGKILL")
  vanishing!.signal("SIGKILL")
  const gone = await vanishing!.ended
  rmSync(hold)
  const { code, stderr } = await other!.ended
  expect(code).toBe(0)
  expect(digests(out)).toEqual(whole)
  // Each run was held by one of them; those of the one that vanished began again.
  for (const [here, there] of printed(3, { stderr }, gone))
    expect([here, there]).toEqual([1, there === 1 ? 1 : 0])
  expect(madeBy({ stderr })).toBeGreaterThan(0)
})

test.skipIf(!existsSync("/proc/self/fd"))(
  "a worker that a signal has stopped is told and, if its command vanishes, woken, so that another can go on",
  async () => {
    const out = join(root, "stopped")
    writeFileSync(hold, "")
    const one = sample(out, ["lr=1", "seeds=1", "aloud=true", `hold=${hold}`])
    const vanishing = start(one)
    await vanishing.said("seed 1 at step 3")
    const [worker] = childrenOf(vanishing.pid)
    process.kill(worker!, "SIGSTOP")
    while (vitalsOf(worker!)?.stopped !== true) await Bun.sleep(5)
    const other = start(one)
    await other.said(`process ${worker} on ${hostname()}, which a signal has stopped, makes it; waiting`)
    vanishing.signal("SIGKILL")
    await other.said(
      `process ${worker} on ${hostname()} was stopped by a signal, and the command that it worked for is gone: it now goes on, to save its state and end`,
    )
    await untilEnded([worker!])
    rmSync(hold)
    const { code, stderr } = await other.ended
    expect(code).toBe(0)
    // It had saved its state: nothing begins again.
    expect(stderr).not.toContain("seed 1 at step 2")
    expect(whole).toMatchObject(digestsOfRuns(out))
  },
)
