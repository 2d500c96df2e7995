import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { Display, showing } from "../../../core/cli/display.ts"
import { inStore, planSample } from "../sample/study.ts"
import { command, type Ended } from "./command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

/** What turns a terminal red, sets its title, rings, overwrites its line, and turns the direction of writing. */
const evil = "\x1b[31m\x1b]0;title\x07\r\u009b2J\u202e"
const written = "\\x1b[31m\\x1b]0;title\\x07\\r\\u009b2J\\u202e"

const core = join(import.meta.dir, "..", "..", "..", "core")

/** A pipeline in whose labels, options, output, progress and failure there are control characters. */
const pipelineFile = `
import { type } from "${Bun.resolveSync("arktype", core)}"
import { Effect } from "${Bun.resolveSync("effect", core)}"
import { cost } from "${core}/api/cost.ts"
import { UnitFailure } from "${core}/api/failure.ts"
import { cohort, pipeline } from "${core}/api/pipeline.ts"
import { plugin } from "${core}/api/plugin.ts"
import { Page } from "${core}/artifacts/page.ts"
import { FileError } from "${core}/io/files.ts"

const loud = plugin({
  name: "loud",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "Prints",
  options: type({ "+": "reject", text: "string", seed: "number", path: "string = ''" }),
  takes: {},
  gives: Page,
  usesBackend: false,
  checkFiles: ({ path }) =>
    path === "" ? Effect.void : Effect.fail(new FileError({ path, doing: "read", found: path })),
  estimate: () => ({ artifact: undefined, cost: cost({}) }),
  run: ({ options: { text } }) => {
    console.error("printed " + text)
    process.stdout.write("written " + text + "\\n")
    return Effect.fail(new UnitFailure({ outcome: "failed", reason: "failed " + text }))
  },
})

export default pipeline({
  name: "loud",
  summary: "Prints",
  parameters: type({ "+": "reject", text: "string", path: "string = ''" }),
  build: ({ text, path }) => ({
    pages: [cohort({ arm: text }, [1, 2], (seed) => loud({ text, seed, path }))],
  }),
})
`

let folder: string
let file: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kasosei-terminal-"))
  mkdirSync(join(folder, evil))
  file = join(folder, evil, "loud.ts")
  writeFileSync(file, pipelineFile)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = (...args: readonly string[]) =>
  command([
    "pipeline",
    file,
    "--out",
    join(folder, "out"),
    "--backend",
    "cpu",
    "--set",
    `text=${evil}`,
    ...args,
  ])

// Line endings and tabs are all that may be left.
const controls = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu
const expectPlain = ({ stdout, stderr }: Ended) =>
  expect([...`${stdout}${stderr}`.matchAll(controls)].filter(([found]) => !"\n\t".includes(found))).toEqual(
    [],
  )

describe("control characters never reach the terminal:", () => {
  test("a plan's labels", async () => {
    const ended = await run("--plan")
    expectPlain(ended)
    expect(ended.stdout).toContain(written)
  })

  test("a plan as JSON, which has the same value", async () => {
    const ended = await run("--plan", "--json")
    expectPlain(ended)
    expect(JSON.parse(ended.stdout).units[0].options.text).toBe(evil)
  })

  test("a worker's output, a failure and its label", async () => {
    const ended = await run("--jobs", "1")
    expect(ended.code).toBe(1)
    expectPlain(ended)
    // A carriage return ends a line of output.
    expect(ended.stderr).toContain("printed \\x1b[31m\\x1b]0;title\\x07\n\\u009b2J\\u202e\n")
    expect(ended.stderr).toContain(`failed ${written}`)
  })

  test("a refused path, option and flag", async () => {
    for (const args of [
      ["--set", `path=${evil}`],
      ["--set", `${evil}=3`],
      ["--accept", evil],
    ]) {
      const ended = await run(...args, "--plan")
      expect(ended.code).toBe(2)
      expectPlain(ended)
    }
    const lost = await command(["pipeline", `${evil}.ts`])
    expectPlain(lost)
    expect(lost.stderr).toContain("there is no such file")
  })

  test("what is redrawn in place", async () => {
    const shown: string[] = []
    const target = { isTTY: true, rows: 24, columns: 200, write: (text: string) => shown.push(text) }
    await Effect.runPromise(showing(target, `planning ${evil}`, Effect.void))
    const plan = await inStore(join(folder, "sample"), planSample("lr=1", "seeds=1"))
    const display = new Display(plan, target)
    display.log(`a line ${evil}`)
    display.close()
    const all = shown.join("")
    expect(all).not.toContain(evil)
    expect(all).toContain(`planning ${written}`)
    expect(all).toContain(`a line ${written}`)
  })
})
