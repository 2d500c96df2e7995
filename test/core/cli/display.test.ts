import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { CliOutput } from "effect/cli"
import { Display, progressLine, showing } from "../../../core/cli/display.ts"
import { LargeFileReading } from "../../../core/engine/content-digest.ts"
import type { Plan } from "../../../core/engine/plan.ts"
import { inStore, planSample, sampleFile } from "../sample/study.ts"
import { main } from "./command-line.ts"
import { Screen } from "./screen.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

describe("a job on one line", () => {
  const label = "classification arm=SimCSE(0.1) lr=3e-5 seed=12"
  const progress = { done: 37, total: 100, note: "loss 0.6931" }

  test("has a bar on a wide terminal, a percentage, its label and its note", () => {
    expect(progressLine("mlm steps=100", progress, 100)).toBe(
      "  ███████░░░░░░░░░░░░░  37 % mlm steps=100 loss 0.6931",
    )
    expect(progressLine("mlm steps=100", progress, 80)).toBe("  ████░░░░░░  37 % mlm steps=100 loss 0.6931")
    expect(progressLine("mlm steps=100", progress, 40)).toBe(" 37 % mlm steps=100 loss 0.6931")
    expect(progressLine(label, undefined, 80)).toBe(`  ${"░".repeat(10)}   0 % ${label}`)
    expect(progressLine("a", { done: 1, total: 1, note: "" }, 80)).toBe(`  ${"█".repeat(10)} 100 % a`)
  })

  test("leaves out the middle of its label on a narrow terminal, never the percentage or the loss", () => {
    expect(progressLine(label, progress, 80)).toBe(
      "  ████░░░░░░  37 % classification arm=SimCSE(0.1) lr=3e-5 seed=12 loss 0.6931",
    )
    expect(progressLine(label, progress, 40)).toBe(" 37 % classif…r=3e-5 seed=12 loss 0.6931")
    for (let columns = 36; columns <= 120; columns++) {
      const line = progressLine(label, progress, columns)
      expect(line).toMatch(/ 37 % class.*seed=12 loss 0\.6931$/)
      expect(CliOutput.displayWidth(line)).toBeLessThanOrEqual(columns)
    }
    expect(progressLine(label, progress, 24)).toBe(" 37 % class…3e-5 seed=12")
  })

  test("counts wide characters as two columns, and escapes control characters", () => {
    const wide = progressLine(`語彙 ${"文".repeat(40)} seed=3`, { ...progress, note: "a\tb" }, 60)
    expect(CliOutput.displayWidth(wide)).toBeLessThanOrEqual(60)
    expect(wide).toMatch(/ 37 % 語彙 文+….*文 seed=3 a\\tb$/)
    expect(progressLine("a\nb", undefined, 60)).toEndWith(" % a\\nb")
  })

  test("leaves out the middle of a note that is longer than the line, never the ends of its label", () => {
    const line = progressLine(label, { ...progress, note: "model.safetensors 12 of 1340 MB" }, 40)
    expect(line).toBe(" 37 % class…-5 seed=12 model… of 1340 MB")
  })
})

describe("on a terminal", () => {
  let out: string
  let plan: Plan
  beforeEach(async () => {
    out = await fs.mkdtemp(join(tmpdir(), "kasosei-display-"))
    plan = await inStore(out, planSample("lr=1"))
  })
  afterEach(() => fs.rm(out, { recursive: true, force: true }))

  test.each([80, 40])("of %d columns every job has one whole line, below what was logged", (columns) => {
    const screen = new Screen(columns)
    const display = new Display(plan, screen)
    const job = plan.jobs[1]!
    display.onEvent({ type: "started", job })
    display.onEvent({ type: "progress", job, progress: { done: 1, total: 4, note: "loss 0.5" } })
    display.log("first")
    display.log("second")
    expect(screen.cursor).toBe(false)
    const [first, second, count, running, ...more] = screen.lines
    expect([first, second, more]).toEqual(["first", "second", []])
    expect(count).toMatch(
      columns === 80
        ? /^0 of 6 units done · about \d+ s left · [\d.]+ s so far$/
        : /^0 of 6 · \d+ s left · [\d.]+ s$/,
    )
    expect(running).toBe(
      columns === 80
        ? "  ███░░░░░░░  25 % sample-walk lr=1 seed=1 loss 0.5"
        : " 25 % sample-walk lr=1 seed=1 loss 0.5",
    )
    display.close()
    expect([screen.lines, screen.cursor, screen.wraps]).toEqual([["first", "second"], true, true])
  })

  test("the simulated terminal takes what is written in parts of any length", () => {
    const [whole, parts] = [new Screen(80), new Screen(80)]
    for (const screen of [whole, parts]) {
      const write = (text: string) => {
        for (const part of screen === whole ? [text] : text) screen.write(part)
      }
      const display = new Display(plan, { isTTY: true, columns: 80, write })
      display.log("first")
      display.log("second")
      display.close()
      screen.write("last")
    }
    expect(parts.lines).toEqual(whole.lines)
  })

  test("Ctrl-C leaves no part of a live line: the terminal itself writes ^C at the cursor", () => {
    const screen = new Screen(80)
    const display = new Display(plan, screen)
    display.log("first")
    screen.write("^C")
    display.log("stopping")
    screen.write("^C")
    display.close()
    expect(screen.lines).toEqual(["first", "stopping"])
  })

  test("what is logged after the end is a line of its own, and no live line comes back", () => {
    const screen = new Screen(80)
    const display = new Display(plan, screen)
    display.close()
    display.log("stopping")
    expect([screen.lines, screen.cursor]).toEqual([["stopping"], true])
  })

  test("the text that is shown during planning is erased afterwards, even if wider than the screen", async () => {
    for (const columns of [80, 10]) {
      const screen = new Screen(columns)
      const seen = await Effect.runPromise(
        showing(
          screen,
          "planning a-pipeline.ts …",
          Effect.sync(() => screen.lines.length),
        ),
      )
      expect([seen, screen.lines, screen.wraps]).toEqual([1, [], true])
    }
  })

  test("planning shows the large file that it is reading", async () => {
    const screen = new Screen(80)
    const reading = Effect.map(LargeFileReading, (reading) => {
      reading("/models/model.safetensors", 5e8, 1e9)
      return screen.lines
    })
    const seen = await Effect.runPromise(showing(screen, "planning a.ts …", reading))
    expect(seen).toEqual(["planning a.ts … reading model.safetensors: 50 %"])
    expect([screen.lines, screen.wraps]).toEqual([[], true])
  })
})

test("Ctrl-C at a terminal erases the live lines, reports in whole lines, and exits with 130", async () => {
  const out = await fs.mkdtemp(join(tmpdir(), "kasosei-display-"))
  const screen = new Screen(80)
  const decoder = new TextDecoder()
  let onData = () => {}
  const slow = ["lr=1", "seeds=1", "count=1000", "slow=20"].flatMap((setting) => ["--set", setting])
  const child = Bun.spawn(
    [process.execPath, main, "pipeline", sampleFile, "--backend", "wasm", "--out", out, ...slow],
    {
      terminal: {
        cols: screen.columns,
        rows: screen.rows,
        data: (_, data) => {
          screen.write(decoder.decode(data, { stream: true }))
          onData()
        },
      },
    },
  )
  const running = new Promise<void>((resolve) => {
    onData = () => {
      if (/ [1-9]\d? % sample-walk/.test(screen.lines.at(-1) ?? "")) resolve()
    }
  })
  await running
  expect(screen.cursor).toBe(false)
  child.terminal!.write("\x03")
  expect(await child.exited).toBe(130)
  expect(screen.lines.map((line) => line.replaceAll(/[\d.]+ s\b/g, "…"))).toEqual([
    expect.stringMatching(/^sample: 1 run, 1 probe and 2 other units to do, … or more on wasm/),
    expect.stringMatching(/\/$/),
    "[1/4] sample-source count=1000 broken=false …",
    "stopping: running jobs save their state first",
    "stopped; the same command resumes from here",
  ])
  expect([screen.cursor, screen.wraps]).toEqual([true, true])
  await fs.rm(out, { recursive: true, force: true })
})
