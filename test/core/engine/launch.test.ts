import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { type Launch, launchesIn, launchFolder, readLaunch, settingsOf } from "../../../core/engine/launch.ts"
import { logPath } from "../../../core/engine/logs.ts"
import { command, sample } from "../cli/command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

let out: string
let launch: Launch
beforeAll(async () => {
  out = mkdtempSync(join(tmpdir(), "kasosei-launch-"))
  const ended = await command(sample(out, ["seeds=1,2", "lr=1", "divergeAt=3", "aloud=true"]))
  expect(ended.code).toBeLessThan(2)
  const [id] = await Effect.runPromise(launchesIn(out))
  launch = await Effect.runPromise(readLaunch(out, id!))
})
afterAll(() => rmSync(out, { recursive: true, force: true }))

test("a launch has the whole plan: units after what they take, and jobs", () => {
  expect(launch).toMatchObject({ name: "sample", arithmetic: launch.backend, precision: "fp32" })
  expect(launch.units.map(({ plugin }) => plugin).sort()).toEqual(
    ["sample-source", "sample-walk", "sample-watch", "sample-walk", "sample-watch", "sample-listing"].sort(),
  )
  for (const [index, { takes }] of launch.units.entries()) {
    for (const taken of takes) expect(taken).toBeLessThan(index)
  }
  const given = launch.jobs.flatMap(({ unit, observers }) => [unit, ...observers])
  expect(given.sort((a, b) => a - b)).toEqual(launch.units.map((_, index) => index))
  expect(Object.keys(launch.targets)).toEqual(["report"])
  expect(existsSync(join(out, launch.report, "report.json"))).toBe(true)
})

test("its workers find the code that was there when it was launched", () => {
  const { code, file, parameters } = settingsOf(out, launch)
  expect(readFileSync(code.file)).toEqual(readFileSync(file))
  expect(code.file.startsWith(out)).toBe(true)
  expect(parameters).toMatchObject({ seeds: [1, 2], divergeAt: 3 })
})

test("a command with nothing to do launches nothing", async () => {
  // What diverged is a result.
  await command(sample(out, ["seeds=1,2", "lr=1", "divergeAt=3", "aloud=true"]))
  expect(await Effect.runPromise(launchesIn(out))).toEqual([launch.id])
})

test("the log of a unit has what it printed and how it ended", () => {
  const walk = launch.units.find(({ plugin }) => plugin === "sample-walk")!
  const lines = readFileSync(logPath(out, walk.plugin, walk.key), "utf8")
    .split("\n")
    .map((line) => line.replace(/^\S+ /, ""))
  expect(lines[0]).toMatch(/^begun in process \d+ on \S+ with \d+ threads?$/)
  expect(lines).toContain("seed 1 at step 2")
  expect(lines.find((line) => line.startsWith("diverged: sample-walk"))).toBeDefined()
  expect(readdirSync(join(out, "logs")).length).toBe(launch.jobs.length)
})

test("a damaged record is refused", async () => {
  const path = join(launchFolder(out, launch.id), "launch.json")
  const text = readFileSync(path, "utf8")
  writeFileSync(path, text.replace('"wanted": true', '"wanted": false'))
  const error = await Effect.runPromise(Effect.flip(readLaunch(out, launch.id)))
  expect(error.message).toBe(`cannot read ${path}: its content has changed since it was written`)
  writeFileSync(path, text)
})
