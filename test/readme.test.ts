import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { command } from "./core/cli/command-line.ts"
import { copyProject } from "./project-copy.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const root = join(import.meta.dir, "..")
const readme = readFileSync(join(root, "README.md"), "utf8")
/** Those at the start of a line: an indented one is an excerpt. */
const blocks = [...readme.matchAll(/^```(sh|ts)\n([\s\S]*?)^```/gm)].map(([, language, text]) => ({
  language,
  text: text!,
}))
const files = blocks.flatMap(({ language, text }) => {
  const named = /^\/\/ (\S+\.ts)\n/.exec(text)
  return language === "ts" ? [{ path: named![1]!, text: text.slice(named![0].length) }] : []
})
const commands = blocks.flatMap(({ language, text }) => (language === "sh" ? text.trim().split("\n") : []))

let project: string
beforeAll(async () => {
  project = await copyProject()
  for (const { path, text } of files) writeFileSync(join(project, path), text)
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

test("the probe is under 40 lines, and its pipeline runs without touching anything else", async () => {
  expect(files.map(({ path }) => path)).toEqual(["plugins/probe/weight-norm.ts", "pipelines/weight-norm.ts"])
  expect(files[0]!.text.split("\n").length).toBeLessThan(40)
  const ended = await command(
    ["pipeline", "weight-norm.ts", "--set", "seeds=1,2", "--backend", "wasm"],
    project,
  )
  expect([ended.code, ended.stderr]).toEqual([0, expect.stringContaining("8 units made, 0 reused, 0 failed")])
  const made = join(project, "out", "weight-norm", "latest")
  const csv = readFileSync(join(made, "table", "observations.csv"), "utf8")
  const [header, ...rows] = csv
    .trim()
    .split("\r\n")
    .map((row) => row.split(","))
  expect(header).toEqual(["arm", "seed", "status", "step", "block", "norm"])
  // 2 seeds, steps 0, 40, 80 and 120, 5 blocks.
  expect(rows).toHaveLength(2 * 4 * 5)
  const embeddings = rows.filter(
    ([, seed, , step, block]) => seed === "1" && block === "embeddings" && +step! >= 0,
  )
  const norms = embeddings.map((row) => Number(row[5]))
  expect(new Set(norms).size).toBe(4)
  // Before fine-tuning both seeds have the norms of the same checkpoint; the classifier is drawn for each.
  const at0 = (seed: string) => rows.filter((row) => row[1] === seed && row[3] === "0").map((row) => row[5])
  expect(at0("1").slice(0, 4)).toEqual(at0("2").slice(0, 4))
  expect(at0("1")[4]).not.toBe(at0("2")[4])
  // The chart has the mean over the seeds of what the table lists.
  const chart = readFileSync(join(made, "chart", "line-chart.csv"), "utf8")
    .trim()
    .split("\r\n")
    .slice(1)
  expect(chart).toHaveLength(4 * 5)
  for (const [facet, , x, y, , , n] of chart.map((row) => row.split(","))) {
    const values = rows.filter(([, , , step, block]) => step === x && block === facet).map((row) => +row[5]!)
    expect(values).toHaveLength(Number(n))
    expect(Number(y)).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / values.length, 9)
  }
  expect(readFileSync(join(made, "chart", "line-chart.svg"), "utf8")).toStartWith("<svg ")
})

test("the change to the quickstart adds a probe of every run and a chart to its plan", async () => {
  cpSync(join(root, "pipelines"), join(project, "pipelines"), { recursive: true })
  const path = join(project, "pipelines", "quickstart.ts")
  const planned = async () => {
    const { stdout, stderr } = await command(
      ["pipeline", "quickstart.ts", "--plan", "--json", "--backend", "wasm"],
      project,
    )
    expect(stderr).toBe("")
    const units: readonly { plugin: string; state: string }[] = JSON.parse(stdout).units
    // Ranks before fine-tuning have more seeds than runs, whose starts are replayed.
    return units.flatMap(({ plugin, state }) => (state === "replayed" ? [] : plugin))
  }
  const before = await planned()
  let text = readFileSync(path, "utf8")
  const [, diff] = /```diff\n([\s\S]*?)```/.exec(readme)!
  for (const hunk of diff!.split("@@\n")) {
    const lines = hunk.trimEnd().split("\n")
    const side = (but: string) =>
      lines.flatMap((line) => (line.startsWith(but) ? [] : [line.slice(1)])).join("\n")
    expect(text).toContain(side("+"))
    text = text.replace(side("+"), () => side("-"))
  }
  writeFileSync(path, text)
  const after = await planned()
  const runs = before.filter((plugin) => plugin === "classification").length
  expect(after.filter((plugin) => plugin === "weight-norm")).toHaveLength(runs)
  expect(after.filter((plugin) => plugin === "line-chart")).toHaveLength(1)
  expect(after).toHaveLength(before.length + runs + 1)
})

test("its first two commands are those of continuous integration, and its pipelines and flags exist", async () => {
  const [, tests] = commands
  expect(readFileSync(join(root, ".ci", "run"), "utf8").split("\n")).toContain(tests!)
  for (const [, name] of readme.matchAll(/`(\w+\.ts)`/g))
    expect(existsSync(join(root, "pipelines", name!))).toBe(true)
  const scripts = Object.keys(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts)
  for (const [, script] of readme.matchAll(/`bun run (\w+)/g)) expect(scripts).toContain(script!)
  const { stdout } = await command(["pipeline", "--help"])
  for (const [, flag] of readme.matchAll(/`\s+(--\w+)/g)) expect(stdout).toContain(flag!)
})

/** Whether a project of one's own can import it. */
const isExported = (name: string) => {
  try {
    return existsSync(Bun.resolveSync(name, root))
  } catch {
    return false
  }
}

const documents = ["README.md", ".github/CONTRIBUTING.md", "core/README.md", "plugins/README.md"]

test.each(documents)(
  "%s: the files and folders that it names exist, and its links lead somewhere",
  (path) => {
    const folder = join(root, dirname(path))
    const text = readFileSync(join(root, path), "utf8").replaceAll(/```[\s\S]*?```/g, "")
    const isThere = (name: string) =>
      name.startsWith("kasosei/")
        ? isExported(name)
        : [folder, root].some((from) => existsSync(join(from, name)))
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, link]) => link!)
    // Files that a reader is to make are named after their examples.
    const made = /NAME|my-method|weight-norm|\/X[.-]|^out\/|^~|^models--/
    const named = [...text.matchAll(/`([\w.-]+(?:\/[\w.-]+)+\/?|[\w-]+\/)`/g)].map(([, name]) => name!)
    expect([...links, ...named].filter((name) => !made.test(name) && !isThere(name))).toEqual([])
    expect(links.length + named.length).toBeGreaterThan(0)
  },
)
