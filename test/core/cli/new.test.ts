import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { type Stage, stages } from "../../../core/api/stage.ts"
import { writePlugin } from "../../../core/cli/new.ts"
import { copyProject } from "../../project-copy.ts"
import { command } from "./command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

let project: string
beforeAll(async () => {
  project = await copyProject()
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

const write = (stage: Stage, name: string) => Effect.runPromise(writePlugin(project, stage, name))
const refusal = async (stage: Stage, name: string) =>
  (await Effect.runPromise(Effect.flip(writePlugin(project, stage, name)))).message

const filesOf = (stage: Stage, name: string) =>
  [`plugins/${stage}/${name}.ts`, `test/plugins/${stage}/${name}.test.ts`] as const
const isThere = (path: string) => existsSync(join(project, path))

const tool = (...args: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: "utf8" })
  return { status, said: `${stdout}${stderr}` }
}

test("in every stage the new test passes, both files are formatted, and the plugin is listed", async () => {
  // The shortest and the longest names, as neither may change how the files are to be formatted.
  const names = stages.map(
    (stage) => [stage, [`z${stage[2]}`, `z${stage[2]}-${"long-".repeat(7)}na`]] as const,
  )
  const made = []
  for (const [stage, both] of names) for (const name of both) made.push(await write(stage, name))
  const paths = made.flatMap(({ plugin, test }) => [plugin, test])
  for (const path of paths) expect(readFileSync(join(project, path), "utf8")).not.toMatch(/template/i)

  const tests = tool("test", "--timeout", "60000", ...made.map(({ test }) => test))
  expect(tests.said).toContain(" 0 fail")
  expect(tests.said).toContain("across 10 files")
  expect(tests.status).toBe(0)

  const biome = join("node_modules", "@biomejs", "biome", "bin", "biome")
  const format = tool(biome, "check", "--vcs-enabled=false", ...paths)
  expect(format.said).toContain("Checked 20 files")
  expect(format.status).toBe(0)

  const { stdout } = await command(["plugins", "--json"], project)
  const listed: { stage: string; plugins: { name: string }[] }[] = JSON.parse(stdout).stages
  for (const [stage, both] of names) {
    const found = listed.find((entry) => entry.stage === stage)!.plugins.map(({ name }) => name)
    expect(found).toEqual(expect.arrayContaining([...both]))
    expect(found.filter((name) => name.includes("template"))).toEqual([])
  }
})

test("the command reports what it wrote and how to use it", async () => {
  const { code, stdout, stderr } = await command(["new", "pretrain", "shrink-perturb"], project)
  const [plugin, test] = filesOf("pretrain", "shrink-perturb")
  expect([code, stderr]).toEqual([0, ""])
  expect(stdout).toContain(`wrote ${plugin}\nwrote ${test}\n`)
  expect(stdout).toContain(`bun test ${test}\n`)
  expect(stdout).toContain(`import { shrinkPerturb } from "../${plugin}"\n`)
  expect(stdout).toContain("shrinkPerturb({ corpus, checkpoint })\n")
  const again = await command(["new", "pretrain", "shrink-perturb"], project)
  expect([again.code, again.stdout]).toEqual([2, ""])
  expect(again.stderr).toBe(`new pretrain shrink-perturb: the name is taken by ${plugin}\n`)
})

test("a plugin requires its inputs and its options without a default", async () => {
  expect(await write("probe", "a-norm")).toMatchObject({ identifier: "aNorm", given: ["run"] })
  expect(await write("data", "json-lines")).toMatchObject({ given: ["vocabulary", "dev", "labels", "train"] })
})

test("an invalid name, or a path, is refused", async () => {
  for (const name of [
    "Norm",
    "a_b",
    "-a",
    "a-",
    "a--b",
    "../core/x",
    "a/b",
    "a.ts",
    "",
    "x".repeat(41),
    "é",
  ]) {
    expect(await refusal("probe", name)).toContain("the name must be lower-case letters and digits")
  }
})

test("a name that is taken in any stage is refused, and nothing is overwritten", async () => {
  for (const stage of ["probe", "data"] as const) {
    expect(await refusal(stage, "trajectory")).toContain("the name is taken by plugins/probe/trajectory.ts")
  }
  const [plugin, test] = filesOf("report", "only-test")
  writeFileSync(join(project, test), "// mine")
  expect(await refusal("report", "only-test")).toContain(`the name is taken by ${test}`)
  expect(readFileSync(join(project, test), "utf8")).toBe("// mine")
  expect(isThere(plugin)).toBe(false)
})

test("a name that is a word of the language, or of the new files, is refused", async () => {
  for (const name of ["delete", "await", "static"]) {
    expect(await refusal("probe", name)).toBe(
      `new probe ${name}: ${name} is a word of the language; choose another name, such as my-${name}`,
    )
  }
  expect(await refusal("probe", "type")).toContain("type already means something else in the new files")
})

test("if one file cannot be written, or does not load, neither is left", async () => {
  const template = join(project, "plugins/template/probe.ts")
  const text = readFileSync(template, "utf8")
  writeFileSync(template, text.replace("../model/parameters.ts", "../model/gone.ts"))
  expect(await refusal("probe", "lost")).toContain("plugins/probe/lost.ts does not load: ")
  expect(filesOf("probe", "lost").filter(isThere)).toEqual([])
  writeFileSync(template, text)

  rmSync(join(project, "test/plugins/report"), { recursive: true })
  writeFileSync(join(project, "test/plugins/report"), "a file where a folder should be")
  expect(await refusal("report", "right-answers")).toContain("cannot write")
  expect(filesOf("report", "right-answers").filter(isThere)).toEqual([])
})

test("an unknown stage is refused with the known ones", async () => {
  const { code, stderr } = await command(["new", "prob", "x"], project)
  expect(code).toBe(2)
  expect(stderr).toBe(
    '<stage> must be data, pretrain, finetune, probe, report or project (was "prob"); did you mean probe?\n',
  )
  for (const stage of stages) expect(stderr).toContain(stage)
})
