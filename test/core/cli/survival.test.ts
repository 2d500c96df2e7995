/** What a study loses when processes die: nothing that was finished, and of what runs no more than it must. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { constants, tmpdir } from "node:os"
import { join } from "node:path"
import {
  alive,
  childrenOf,
  command,
  digests,
  main,
  type Running,
  sample,
  start,
  untilEnded,
} from "./command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(240_000)

let root: string
let whole: Readonly<Record<string, string>>
const seeds = [1, 2, 3, 4, 5]
let hold: string
/** Five runs that wait at step 3 until the file `hold` is removed. */
const settings = () => ["lr=1", `seeds=${seeds}`, "aloud=true", "savesAloud=true", `hold=${hold}`]
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "kasosei-survival-"))
  hold = join(root, "hold")
  const undisturbed = await command(sample(join(root, "whole"), settings(), ["--jobs", "5"]))
  expect(undisturbed.code).toBe(0)
  whole = digests(join(root, "whole"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Waits until all five runs are held. */
const untilHeld = async (running: Running) => {
  for (const seed of seeds) await running.said(`seed ${seed} at step 3`)
}

/** The saved sums of all runs. */
const saved = (out: string) =>
  readdirSync(join(out, "scratch"))
    .map((name) => JSON.parse(readFileSync(join(out, "scratch", name, "unit", "state.json"), "utf8")))
    .sort((a, b) => a.sums[0] - b.sums[0])

const held = () => seeds.map((seed) => ({ step: 3, sums: [seed + 1, seed + 3, seed + 6] }))

/** Expects that the next run goes on where five runs were held, and ends as if nothing had happened. */
const expectResumed = async (out: string) => {
  expect(saved(out)).toEqual(held())
  rmSync(hold, { force: true })
  const resumed = await command(sample(out, settings(), ["--jobs", "5"]))
  expect(resumed.code).toBe(0)
  for (const step of [0, 1, 2]) expect(resumed.stderr).not.toContain(`at step ${step}`)
  expect(digests(out)).toEqual(whole)
}

test("a supervising process that is killed costs nothing: every worker saves its job, whatever it prints", async () => {
  writeFileSync(hold, "")
  const out = join(root, "killed")
  const killed = start(sample(out, settings(), ["--jobs", "5"]))
  await untilHeld(killed)
  const workers = childrenOf(killed.pid)
  expect(workers).toHaveLength(5)
  killed.signal("SIGKILL")
  await killed.ended
  await untilEnded(workers)
  await expectResumed(out)
})

test("a worker that is killed is replaced, and nothing of it is left at the end", async () => {
  writeFileSync(hold, "")
  const out = join(root, "replaced")
  const running = start(sample(out, settings(), ["--jobs", "5"]))
  await untilHeld(running)
  process.kill(childrenOf(running.pid)[0]!, "SIGKILL")
  await running.said("it is tried again in 1.0 s")
  rmSync(hold)
  expect((await running.ended).code).toBe(0)
  expect(digests(out)).toEqual(whole)
  for (const name of ["leases", "owners", "scratch", "tmp"])
    expect([name, readdirSync(join(out, name))]).toEqual([name, []])
})

test("signals of a terminal that is closed, as often as they come, stop it as Ctrl-C does", async () => {
  writeFileSync(hold, "")
  const out = join(root, "hung-up")
  const left = start(sample(out, settings(), ["--jobs", "5"]))
  await untilHeld(left)
  const workers = childrenOf(left.pid)
  left.signal("SIGHUP")
  await left.said("stopping: running jobs save their state first")
  left.signal("SIGHUP")
  left.leave()
  expect((await left.ended).code).toBe(128 + constants.signals.SIGHUP)
  expect(alive(workers)).toEqual([])
  await expectResumed(out)
})

test("under nohup, neither stops it", async () => {
  writeFileSync(hold, "")
  const out = join(root, "nohup")
  const left = start(sample(out, settings(), ["--jobs", "5"]), undefined, { wrapper: ["nohup"] })
  await untilHeld(left)
  left.signal("SIGHUP")
  left.leave()
  rmSync(hold)
  expect((await left.ended).code).toBe(0)
  expect(digests(out)).toEqual(whole)
})

test("a terminal that is closed stops it as Ctrl-C does", async () => {
  writeFileSync(hold, "")
  const out = join(root, "terminal")
  let shown = ""
  let onShown = () => {}
  const child = Bun.spawn([process.execPath, main, ...sample(out, settings(), ["--jobs", "5"])], {
    terminal: {
      cols: 80,
      rows: 24,
      data: (_, data) => {
        shown += new TextDecoder().decode(data)
        onShown()
      },
    },
  })
  await new Promise<void>((resolve) => {
    onShown = () => {
      if (seeds.every((seed) => shown.includes(`seed ${seed} at step 3`))) resolve()
    }
    onShown()
  })
  const workers = childrenOf(child.pid)
  child.terminal!.close()
  expect(await child.exited).toBe(128 + constants.signals.SIGHUP)
  expect(alive(workers)).toEqual([])
  await expectResumed(out)
})

test("a job that takes longer than --time-limit is stopped and told, and the next run resumes it", async () => {
  writeFileSync(hold, "")
  const out = join(root, "late")
  const late = await command(sample(out, settings(), ["--jobs", "5", "--time-limit", "5s", "--json"]))
  expect(late.code).toBe(1)
  const { made, failures } = JSON.parse(late.stdout)
  expect(made).toBe(2)
  const reason =
    "it was stopped after 5.0 s, its time limit; its state is kept, and the next run goes on from there"
  expect(failures.filter(({ unit }: { unit: string }) => unit.startsWith("sample-walk"))).toMatchObject(
    seeds.map(() => ({ status: "failed", kind: "time", reason })),
  )
  // How far they had come depends on how busy the machine is.
  expect(readdirSync(join(out, "scratch"))).toHaveLength(5)
  rmSync(hold)
  expect((await command(sample(out, settings()))).code).toBe(0)
  expect(readdirSync(join(out, "scratch"))).toEqual([])
  expect(digests(out)).toEqual(whole)
})

test("whatever is killed at whatever moment, the study ends with the same bytes and makes nothing finished twice", async () => {
  const out = join(root, "moments")
  rmSync(hold, { force: true })
  const slow = sample(out, [...settings(), "slow=300"], ["--jobs", "2"])
  const undisturbed = join(root, "moments-whole")
  expect((await command(sample(undisturbed, [...settings(), "slow=300"], ["--jobs", "5"]))).code).toBe(0)
  /** When each artifact was made. */
  const made = () =>
    Object.fromEntries(
      readdirSync(join(out, "artifacts"))
        .map((name) => [name, join(out, "artifacts", name, "manifest.json")] as const)
        .filter(([, path]) => existsSync(path))
        .map(([name, path]) => [name, JSON.parse(readFileSync(path, "utf8")).made]),
    )
  let finished: Readonly<Record<string, string>> = {}
  const moments = [
    ["seed 1 at step 0", "worker"],
    ["seed 2 at step 2", "both"],
    ["seed 3 at step 1", "supervisor"],
    ["seed 5 at step 4", "both"],
  ] as const
  for (const [moment, victim] of moments) {
    const run = start(slow)
    // On a busy machine, a run before may have come further than it was to.
    await run.said(moment).catch(() => {})
    const workers = childrenOf(run.pid)
    if (victim !== "worker") run.signal("SIGKILL")
    for (const pid of victim === "supervisor" ? [] : victim === "both" ? workers : workers.slice(0, 1)) {
      process.kill(pid, "SIGKILL")
    }
    if (victim === "worker") await run.said("it is tried again in 1.0 s").catch(() => {})
    run.signal("SIGKILL")
    await run.ended
    await untilEnded(workers)
    expect(made()).toMatchObject(finished)
    finished = made()
  }
  expect((await command(slow)).code).toBe(0)
  expect(made()).toMatchObject(finished)
  expect(digests(out)).toEqual(digests(undisturbed))
})
