import { afterEach, beforeEach, expect, test } from "bun:test"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { type Launch, writeLaunch } from "../../../../core/engine/launch.ts"
import { codeFile, digestOfCode } from "../../../../core/engine/store/codes.ts"
import { garbageIn, removeGarbage } from "../../../../core/engine/store/garbage.ts"
import { folderName } from "../../../../core/engine/store/record.ts"
import { sealedText } from "../../../../core/engine/store/seal.ts"
import { sha256 } from "../../../../core/io/digest.ts"
import { writeFile } from "../../../../core/io/files.ts"
import { madeBy } from "../../sample/study.ts"

let out: string
beforeEach(async () => {
  out = await fs.mkdtemp(join(tmpdir(), "kasosei-garbage-"))
})
afterEach(() => fs.rm(out, { recursive: true, force: true }))

const keyOf = (name: string) => sha256(name)
const nameOf = (name: string) => folderName("plugin", keyOf(name))
const run = <A, E>(effect: Effect.Effect<A, E>) => Effect.runPromise(effect)
const days = 24 * 3600 * 1000
const ago = (count: number) => new Date(Date.now() - count * days)

/** Writes an artifact that takes others and is so many days old. */
const artifact = async (name: string, inputs: readonly string[], age = 2, source = "shared") => {
  const folder = join(out, "artifacts", nameOf(name))
  const code = { sources: { [source]: sha256(source) }, packages: {} }
  await run(writeFile(join(out, codeFile(digestOfCode(code))), sealedText(code)))
  await run(writeFile(join(folder, "data", "a"), name))
  const made = ago(age)
  const manifest = {
    key: keyOf(name),
    plugin: "plugin",
    label: name,
    inputs: inputs.map((input) => ({ name: "input", key: keyOf(input), label: input })),
    made: made.toISOString(),
    version: 1,
    options: {},
    parts: { code: digestOfCode(code), read: {}, inputs: {}, watched: null, backend: null },
    backend: null,
    missing: [],
    seconds: 1,
    madeBy,
    flops: 0,
    files: [{ path: "a", bytes: name.length, sha256: sha256(name) }],
    digest: sha256(name),
  }
  await run(writeFile(join(folder, "manifest.json"), sealedText(manifest)))
  await fs.utimes(folder, made, made)
  const file = join(out, codeFile(digestOfCode(code)))
  await fs.utimes(file, made, made)
}

const report = (digest: string, ...units: readonly string[]) => {
  const content = {
    pipeline: "study",
    parameters: {},
    command: "kasosei pipeline study.ts",
    made: ago(0).toISOString(),
    targets: { report: units.map(keyOf) },
    files: {},
  }
  return run(writeFile(join(out, "study", digest, "report.json"), sealedText(content)))
}
const first = "0123456789ab"

const scratch = async (name: string, age: number, job?: object) => {
  const folder = join(out, "scratch", name)
  await run(writeFile(join(folder, "state"), "12345"))
  if (job !== undefined) await fs.writeFile(join(folder, "job.json"), JSON.stringify(job))
  for (const path of [...(await fs.readdir(folder)), ""])
    await fs.utimes(join(folder, path), ago(age), ago(age))
}

const garbage = async (older?: number) => {
  const found = await run(garbageIn(out, older))
  return { labels: found.garbage.map(({ label }) => label).sort(), ...found }
}

test("what a report is made from stays, directly or not; what only others take goes", async () => {
  await artifact("corpus", [])
  await artifact("checkpoint", ["corpus"])
  await artifact("run", ["checkpoint"])
  await artifact("page", ["run"])
  await artifact("other run", ["checkpoint"], 2, "edited")
  await artifact("other page", ["other run"])
  await report(first, "page")
  const { labels, needs, ...found } = await garbage()
  const edited = { sources: { edited: sha256("edited") }, packages: {} }
  expect(labels).toEqual(["other page", "other run", codeFile(digestOfCode(edited))])
  expect(needs.by.get(nameOf("corpus"))).toEqual([`study/${first}`])
  await run(removeGarbage(out, found.garbage))
  expect((await fs.readdir(join(out, "artifacts"))).sort()).toEqual(
    ["corpus", "checkpoint", "run", "page"].map(nameOf).sort(),
  )
  expect(await fs.readdir(join(out, "sources"))).toHaveLength(1)
  expect((await garbage()).labels).toEqual([])
})

const idOf = (made: Date) => `${made.toISOString().replaceAll(/[-:]|\.\d+Z/g, "")}-01234567`

const launch = (
  made: Date,
  folder: string,
  more: Partial<Launch>,
  ...units: readonly string[]
): Promise<void> => {
  const when = made.toISOString()
  const id = idOf(made)
  const none = {
    branch: null,
    commit: null,
    threads: null,
    parameters: {},
    revisions: {},
    targets: {},
    jobs: [],
  }
  return run(
    writeLaunch(out, {
      ...{ ...none, id, made: when, name: "study", report: `study/${folder}`, command: "", file: "study.ts" },
      code: {
        file: "study.ts",
        package: ".",
        copied: { from: "/project", to: `${out}/launches/code/${id}` },
      },
      ...{ backend: "cpu", arithmetic: "cpu", precision: "fp32" },
      digest: sha256(""),
      units: units.map((label) => ({
        ...{ key: keyOf(label), label, plugin: "plugin", stage: "data" as const, flops: 0 },
        ...{ takes: [], members: [] },
      })),
      ...more,
    }),
  )
}

test("a study that was stopped keeps what it has made so far, until its report is there or it is launched anew", async () => {
  for (const name of ["run", "page", "earlier run"]) await artifact(name, [])
  await launch(ago(40), first, {}, "earlier run", "page")
  await launch(ago(30), first, {}, "run", "page")
  const { labels, needs } = await garbage()
  expect(labels).toEqual(["earlier run"])
  expect(needs.by.get(nameOf("run"))).toEqual([expect.stringMatching(/^launches.\d{8}T\d{6}-01234567$/)])
  await report(first, "page")
  expect((await garbage()).labels).toEqual(["earlier run"])
})

test("a launch is unfinished while something that it was to make is not there, though its report is", async () => {
  for (const name of ["run", "page"]) await artifact(name, [])
  const jobs = [0, 1, 2].map((unit) => ({
    ...{ unit, wanted: unit > 0, observers: unit === 0 ? [3] : [] },
    ...{ flops: 0, memory: 0, disk: 0, scratch: 0 },
  }))
  // The first unit is only replayed for the last, a probe; the page lacks the failed run.
  await launch(ago(30), first, { jobs }, "replayed", "run", "page", "probe", "failed")
  await report(first, "page")
  expect((await garbage()).needs.launches[0]!.isOver).toBe(false)
  await artifact("probe", [])
  expect((await garbage()).needs.launches[0]!.isOver).toBe(true)
})

test("what a report needs is known from its launch, also where its records are gone or cannot be read", async () => {
  await artifact("corpus", [])
  await artifact("run", ["corpus"])
  await artifact("page", ["run"])
  await artifact("other", [])
  await launch(ago(30), first, {}, "corpus", "run", "page")
  await report(first, "page")
  await fs.rm(join(out, "artifacts", nameOf("page")), { recursive: true })
  expect((await garbage()).labels).toEqual(["other"])
  await fs.truncate(join(out, "artifacts", nameOf("run"), "manifest.json"))
  const { labels, needs } = await garbage()
  expect([labels, needs.unknown]).toEqual([["other"], []])
  expect(needs.by.get(nameOf("corpus"))).toEqual([`study/${first}`])
})

test("a launch, its code and its logs stay for as long as something that it made, or was to make", async () => {
  const aged = async (path: string, age: number) => {
    const folder = path.endsWith(".log") ? join(path, "..") : path
    await fs.mkdir(folder, { recursive: true })
    if (path.endsWith(".log")) await fs.writeFile(path, "begun")
    await fs.utimes(path, ago(age), ago(age))
  }
  await artifact("run", [])
  await artifact("new run", [], 0.1)
  const launches = [
    [ago(50), first, "gone run", "gone page"],
    [ago(40), "ba9876543210", "gone run", "run"],
    [ago(30), first, "run", "page"],
    [ago(20), "aaaaaaaaaaaa", "failed"],
  ] as const
  for (const [made, folder, ...units] of launches) {
    await launch(made, folder, {}, ...units)
    const id = idOf(made)
    await aged(join(out, "launches", "code", id), 20)
    for (const path of [join(id, "launch.json"), id]) {
      await fs.utimes(join(out, "launches", path), made, made)
    }
  }
  await aged(join(out, "launches", "code", "0".repeat(20)), 20)
  await aged(join(out, "launches", "code", "1".repeat(20)), 0.1)
  for (const name of ["gone run", "gone page", "run", "failed", "of nothing"])
    await aged(join(out, "logs", `${nameOf(name)}.log`), 20)
  await report("ba9876543210", "run")
  await report(first, "run")
  const [oldest] = launches.map(([made]) => idOf(made))
  const { labels, garbage: found } = await garbage()
  expect(labels).toEqual(
    [
      `launches/${oldest}`,
      `launches/code/${"0".repeat(20)}`,
      `launches/code/${oldest}`,
      ...["gone page", "of nothing"].map((name) => `logs/${nameOf(name)}.log`),
    ].sort(),
  )
  await run(removeGarbage(out, found))
  expect((await garbage()).labels).toEqual([])
})

test("what is younger than a day stays, unless told otherwise", async () => {
  await artifact("new", [], 0.5)
  await artifact("old", [], 8)
  expect((await garbage()).labels).toEqual(["old"])
  expect((await garbage(7 * days)).labels).toEqual(["old"])
  expect((await garbage(9 * days)).labels).toEqual([])
  expect((await garbage(0)).labels).toEqual(["new", "old", expect.stringContaining("sources/")])
})

test("a report that cannot be read keeps everything", async () => {
  await artifact("run", [])
  await report(first, "page")
  await fs.truncate(join(out, "study", first, "report.json"))
  const { labels, needs } = await garbage()
  expect(labels).toEqual([])
  expect(needs.unknown).toEqual([expect.stringContaining(join("study", first, "report.json"))])
})

test("an artifact that a report needs and whose record cannot be read keeps everything", async () => {
  await artifact("corpus", [])
  await artifact("page", ["corpus"])
  await artifact("other", [])
  await report(first, "page")
  const manifest = join(out, "artifacts", nameOf("page"), "manifest.json")
  const text = await fs.readFile(manifest, "utf8")
  await fs.writeFile(manifest, text.replace("page", "pagf"))
  const { labels, needs } = await garbage()
  expect([labels, needs.unknown]).toEqual([[], [`${nameOf("page")}, which is needed, cannot be read`]])
})

test("what was set aside says what it is to be made from, until it is there again", async () => {
  await artifact("corpus", [])
  await artifact("page", ["corpus"])
  await report(first, "page")
  const [folder, aside] = [
    join(out, "artifacts", nameOf("page")),
    join(out, "damaged", `${nameOf("page")}-2026-01-02T03-04-05.678Z`),
  ]
  await fs.mkdir(join(out, "damaged"))
  await fs.cp(folder, aside, { recursive: true })
  for (const path of ["data/a", "data", "manifest.json", ""])
    await fs.utimes(join(aside, path), ago(2), ago(2))
  const again = (await garbage()).garbage
  expect(again).toMatchObject([{ path: expect.stringContaining("damaged/"), why: "it was made again" }])
  await fs.rm(folder, { recursive: true })
  expect((await garbage()).labels).toEqual([])
})

test("the state of a stopped unit stays for a month, unless the unit is there", async () => {
  await artifact("run", [])
  await report(first, "run")
  await scratch("00", 20, { label: "stopped", keys: [keyOf("stopped")] })
  await scratch("01", 31, { label: "forgotten", keys: [keyOf("forgotten")] })
  await scratch("02", 2, { label: "run", keys: [keyOf("run")] })
  await scratch("03", 0.5, { label: "run", keys: [keyOf("run")] })
  await scratch("04", 20)
  const { labels, garbage: found } = await garbage()
  expect(labels).toEqual(["forgotten", "run"])
  expect(found.map(({ path }) => path).sort()).toEqual(["scratch/01", "scratch/02"])
  expect((await garbage(10 * days)).labels).toEqual(["forgotten", "scratch/04", "stopped"])
})
