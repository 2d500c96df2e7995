/** What the command line does after an edit of a plugin, in a copy of the project. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { copyProject } from "../../project-copy.ts"
import { childrenOf, command, digests, type Ended, start } from "./command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

let project: string
beforeAll(async () => {
  project = await copyProject()
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

/** While there is such a file, a run waits at step 3. */
const hold = () => join(project, "hold")
const args = (...flags: readonly string[]) => [
  "pipeline",
  join(project, "test/core/sample/pipeline.ts"),
  ...["--out", join(project, "out"), "--backend", "wasm"],
  ...["lr=1", "seeds=1,2", `hold=${hold()}`].flatMap((setting) => ["--set", setting]),
  ...flags,
]
const run = (...flags: readonly string[]): Promise<Ended> => command(args(...flags), project)

/** The states and reasons of the units that are not simply done, by line of the plan. */
const planned = async (...flags: readonly string[]) => {
  const { stdout } = await run("--plan", ...flags)
  return stdout
    .split("\n")
    .map((line) => line.split(/ {2,}/))
    .filter(([stage]) => ["data", "finetune", "probe", "report"].includes(stage!))
    .map(([, unit, , ...rest]) =>
      [unit!.split(" ")[0], ...rest.filter((cell) => !cell.includes("FLOP"))].join(" | "),
    )
}

const edit = (before: string, after: string) => {
  const path = join(project, "test/core/sample/plugins.ts")
  const text = readFileSync(path, "utf8")
  expect(text).toContain(before)
  writeFileSync(path, text.replace(before, after))
}
const sum = "(sums.at(-1) ?? options.seed) + gain * inputs.data[step]!"
const sameSum = "gain * inputs.data[step]! + (sums.at(-1) ?? options.seed)"

test("after an edit of a plugin the plan names it, and --accept keeps what it gives, but for the report", async () => {
  expect((await run()).code).toBe(0)
  edit(sum, sameSum)
  expect(await planned()).toEqual([
    "sample-source | to do | source plugins.ts changed",
    "sample-walk | 2 to do | source plugins.ts changed",
    "sample-watch | 2 to do | source plugins.ts changed",
    "sample-listing | to do | source plugins.ts changed",
  ])
  const accepted = [
    "sample-source | done | accepted plugins.ts",
    "sample-walk | 2 done | accepted plugins.ts",
    "sample-watch | 2 done | accepted plugins.ts",
    "sample-listing | to do | source plugins.ts changed",
  ]
  expect(await planned("--accept", "plugins.ts")).toEqual(accepted)

  // Killed while it computes the sample, it has accepted nothing.
  writeFileSync(hold(), "")
  const killed = start(args("--accept", "sample/plugins.ts"), project)
  await killed.said("5 units will be reused, once 5 units computed again")
  await killed.said("[1/")
  killed.signal("SIGKILL")
  await killed.ended
  rmSync(hold())
  expect(await planned()).not.toContain(accepted[0]!)

  const { code, stderr } = await run("--accept", "sample/plugins.ts")
  expect(code).toBe(0)
  expect(stderr).toContain("1 unit made, 5 reused, 0 failed")
  expect(existsSync(join(project, "out/scratch/accept"))).toBe(false)
  expect(await planned()).toEqual([...accepted.slice(0, 3), "sample-listing | done"])
})

test("an edit that changes results is refused, and everything that was there is still there", async () => {
  const before = readdirSync(join(project, "out/artifacts"))
  edit(sameSum, `${sameSum} + 1`)
  const { code, stderr, stdout } = await run("--accept", "plugins.ts")
  expect([code, stdout]).toEqual([2, ""])
  expect(stderr).toContain("--accept: nothing was accepted, since results differ")
  expect(stderr).toContain("sample-walk lr=1 seed=1: computed again, numbers.json is different")
  expect(readdirSync(join(project, "out/artifacts"))).toEqual(before)
})

test("what was launched is what runs: an edit meanwhile changes nothing, in new workers either", async () => {
  const launched = (out: string) =>
    args("--jobs", "1", "--set", "aloud=true").map((arg) =>
      arg.replace(join(project, "out"), join(project, out)),
    )
  const path = join(project, "test/core/sample/plugins.ts")
  const text = readFileSync(path, "utf8")
  expect((await command(launched("undisturbed"), project)).code).toBe(0)
  writeFileSync(hold(), "")
  const running = start(launched("edited"), project)
  await running.said("seed 1 at step 3")
  edit("gain * inputs.data[step]!", "-1 * gain * inputs.data[step]!")
  // Its job is tried again, in a worker that starts only now.
  for (const worker of childrenOf(running.pid)) process.kill(worker, "SIGKILL")
  rmSync(hold())
  const { code, stderr } = await running.ended
  expect(code).toBe(0)
  expect(stderr).toContain("it is tried again")
  expect(digests(join(project, "edited"))).toEqual(digests(join(project, "undisturbed")))
  // Errors name the files that a person edits, not the copies.
  expect(stderr).not.toContain("launches/code")
  const plan = await command([...launched("edited"), "--plan"], project)
  expect(plan.stdout).toContain("source plugins.ts changed")
  writeFileSync(path, text)
})

test("an option that depends on where the code lies keeps the launch at the code itself", async () => {
  const file = join(project, "test/core/sample/beside.ts")
  writeFileSync(
    file,
    `import { type } from "arktype"
import { pipeline } from "../../../core/api/pipeline.ts"
import { source, walk } from "./plugins.ts"
export default pipeline({
  name: "beside", summary: "One run", parameters: type({ "+": "reject" }),
  build: () => ({ run: walk({ data: source({ count: 5 }), seed: 1, lr: 1, hold: import.meta.dirname + "/none" }) }),
})
`,
  )
  const { code, stderr } = await command(["pipeline", file, "--out", join(project, "beside")], project)
  expect(stderr).toContain("the copy of the code has other units")
  expect(code).toBe(0)
})
