/** Branches of fine-tuning runs, in a pipeline file and from the command line. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command } from "../core/cli/command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(240_000)

let out: string
beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), "kasosei-branching-"))
})
afterAll(() => rmSync(out, { recursive: true, force: true }))

const file = join(import.meta.dir, "branching.ts")
const run = async (...args: readonly string[]) => {
  const { code, stdout, stderr } = await command([
    ...["pipeline", file, "--out", out, "--backend", "wasm", "--json"],
    ...args,
  ])
  const { made, failures } = stdout === "" ? { made: 0, failures: [] } : JSON.parse(stdout)
  return { code, stderr, made, failures }
}
const lines = (...path: readonly string[]) =>
  readFileSync(join(out, "branching", ...path), "utf8")
    .trim()
    .split("\r\n")

test("a pipeline file branches a cohort, lets a probe watch the branches, and compares them with their runs", async () => {
  const { code, failures } = await run()
  // The learning rate 1e30 diverges with either seed, once the warm-up of one update is over.
  expect(code).toBe(0)
  expect(failures).toMatchObject(
    [1, 2].map((seed) => ({ unit: `classification lr=1e+30 seed=${seed}`, step: 2 })),
  )
  const updates = lines("latest", "comparison", "updates.csv").slice(1)
  const of = (name: string) =>
    updates.flatMap((line) => (line.startsWith(`${name},`) ? [line.slice(name.length + 1)] : []))
  for (const seed of [1, 2]) {
    const [original, calm] = [of(`original seed=${seed}`), of(`branch=calm seed=${seed}`)]
    expect(calm).toHaveLength(6)
    expect(calm.slice(0, 3)).toEqual(original.slice(0, 3))
    for (const update of [3, 4, 5]) expect(calm[update]).not.toBe(original[update]!)
  }
  expect(readFileSync(join(out, "branching", "latest", "comparison", "index.html"), "utf8")).toContain(
    "The first 3 updates of runs with the same seed are the same to the bit",
  )
  const labels = lines("latest", "paths", "observations.csv")
    .slice(1)
    .map((line) => line.split(",").slice(0, 3).join())
  expect([...new Set(labels)]).toEqual(["0.001,calm,1", "0.001,calm,2"])
})

test("the same branch from the command line is the same unit: only its report is made", async () => {
  const { code, made } = await run("--branch", "lr=1e-3 seed=2@3", "--set", "dropout=0")
  expect([code, made]).toEqual([0, 1])
  expect(
    lines("branch-lr=0.001-seed=2-dropout=0@3", "latest", "report", "results.csv").map(
      (line) => line.split(",")[0],
    ),
  ).toEqual(["run", "original", "branch=dropout=0@3"])
})

test("a run that diverged goes on with a branch that leaves it before that", async () => {
  const set = ["--set", "lr=1e-3", "--set", "optimiser=lion({ weightDecay: 0.1 })"]
  expect((await run("--branch", "lr=1e30 seed=1@3", ...set)).stderr).toContain(
    "classification lr=1e+30 seed=1 diverged at step 2 (the loss is NaN): expected a step from 0 to 2, found 3",
  )
  const { code, made, failures } = await run("--branch", "lr=1e30 seed=1@1", ...set)
  expect([code, made]).toEqual([0, 2])
  expect(failures).toMatchObject([{ unit: "classification lr=1e+30 seed=1", status: "diverged" }])
  const folder = readdirSync(join(out, "branching")).find((name) => name.includes("lion"))!
  expect(folder).toBe("branch-lr=1e-30-seed=1-lr=1e-3,optimiser=lion-weightDecay-0.1-@1")
  const results = lines(folder, "latest", "report", "results.csv")
  expect(results[1]).toStartWith("original,1,diverged,2,")
  expect(results[2]).toMatch(
    /^"branch=lr=1e-3,optimiser=lion\(\{weightDecay:0\.1\}\)@1",1,(failed|learned),6,/,
  )
})
