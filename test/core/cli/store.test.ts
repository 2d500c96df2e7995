import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { expectedName } from "../../../core/engine/name.ts"
import { mayMount, smallDisk } from "../../small-disk.ts"
import { sampleFile } from "../sample/study.ts"
import { answer, help } from "./answer.ts"
import { command } from "./command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

let root: string
let made: string
const sample = (out: string, ...more: readonly string[]) =>
  command(["pipeline", sampleFile, "--out", out, "--backend", "wasm", "--set", "lr=1", ...more])
const store = (name: string, out: string, ...more: readonly string[]) =>
  command(["store", name, "--out", out, ...more])

beforeAll(async () => {
  root = fs.mkdtempSync(join(tmpdir(), "kasosei-store-command-"))
  made = join(root, "made")
  expect((await sample(made)).code).toBe(0)
})
afterAll(() => fs.rmSync(root, { recursive: true, force: true }))

const copyOf = (name: string) => {
  const out = join(root, name)
  fs.cpSync(made, out, { recursive: true, verbatimSymlinks: true })
  return out
}
const folderOf = (out: string, plugin: string) => {
  const names = fs.readdirSync(join(out, "artifacts")).filter((name) => name.startsWith(`${plugin}-`))
  return join(out, "artifacts", names.sort()[0]!)
}
/** The digests of all artifacts, by the name of their folder. */
const digests = (out: string) =>
  fs.readdirSync(join(out, "artifacts")).map((name) => {
    const { digest } = JSON.parse(fs.readFileSync(join(out, "artifacts", name, "manifest.json"), "utf8"))
    return [name, digest]
  })
const flip = (path: string) => {
  const bytes = fs.readFileSync(path)
  bytes[bytes.length >> 1]! ^= 1
  fs.writeFileSync(path, bytes)
}

describe("ls and show", () => {
  test("list every unit with what needs it", async () => {
    const { units } = JSON.parse((await store("ls", made, "--json")).stdout)
    expect(units).toHaveLength(6)
    const [report] = fs.readdirSync(join(made, "sample")).filter((name) => name !== "latest")
    for (const unit of units) expect(unit).toMatchObject({ state: "done", neededBy: [`sample/${report}`] })
    const lines = (await store("ls", made)).stdout.split("\n")
    expect(lines[0]).toMatch(/^state +size +age +needed by +unit$/)
    expect(lines).toContainEqual(
      expect.stringMatching(/^done +.* B +.* s +sample.\w{12} +sample-walk lr=1 seed=1$/),
    )
  })

  test("show all of a manifest, its inputs and what takes it", async () => {
    const { stdout } = await store("show", made, "sample-walk seed=2")
    for (const line of [
      /^unit +sample-walk lr=1 seed=2$/m,
      /^took +.* s, .* s of CPU time, at most \d+ MB$/m,
      /^command +(kasosei|bun run) pipeline /m,
      /^machine +.+ cores/m,
      /^takes data +sample-source .*\(done\)$/m,
      /^taken by +sample-watch lr=1 seed=2$/m,
      /^needed by +sample\//m,
      /^file +numbers.json, /m,
    ])
      expect(stdout).toMatch(line)
    const { record } = JSON.parse((await store("show", made, "sample-walk seed=2", "--json")).stdout)
    expect(record.label).toBe("sample-walk lr=1 seed=2")
    expect((await store("show", made, record.key.slice(0, 12))).stdout).toContain(
      `key         ${record.key}\n`,
    )
  })

  test("refuse a name of no unit or of several, and a folder that is none", async () => {
    const refusal = async (...more: readonly string[]) => (await store("show", ...(more as [string]))).stderr
    expect(await refusal(made, "sample-run")).toContain("sample-run: expected a part of a label")
    expect(await refusal(made, "sample-walk")).toMatch(
      /expected the name of one unit, found 2: sample-walk lr=1 seed=1 \(/,
    )
    expect(await refusal(join(root, "nowhere"), "a")).toContain("there is no such file or folder")
  })
})

test("a flipped bit in every file is found by verify, set aside with --repair, and healed by a run", async () => {
  const out = copyOf("flipped")
  expect((await store("verify", out)).stdout).toMatch(/^6 units, \d+ files, .*: all as written\n$/)
  const files = ["artifacts", "sources"].flatMap((room) =>
    fs
      .readdirSync(join(out, room), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  )
  for (const path of files) if (fs.statSync(path).size > 0) flip(path)
  const before = await store("verify", out)
  expect([before.code, before.stdout.match(/^damaged: /gm)?.length]).toEqual([
    1,
    6 + fs.readdirSync(join(out, "sources")).length,
  ])
  const repaired = await store("verify", out, "--repair")
  expect([repaired.code, repaired.stdout.match(/; set aside in /g)?.length]).toEqual([
    0,
    before.stdout.match(/^damaged: /gm)!.length,
  ])
  expect((await store("verify", out)).code).toBe(0)
  expect((await sample(out)).stderr).toContain("6 units made, 0 reused, 0 failed")
  expect(digests(out).sort()).toEqual(digests(made).sort())
})

test("a damaged launch or copy of its code is found, set aside with --repair, and keeps nothing from going", async () => {
  const out = copyOf("launched")
  const launches = join(out, "launches")
  const [launch] = fs.readdirSync(launches).filter((name) => name !== "code")
  const [copy] = fs.readdirSync(join(launches, "code"))
  flip(join(launches, launch!, "launch.json"))
  flip(join(launches, "code", copy!, "core", "engine", "worker.ts"))
  fs.mkdirSync(join(launches, "20200101T000000-00000000"))
  const refused = await store("gc", out)
  expect([refused.code, refused.stderr]).toEqual([
    2,
    expect.stringMatching(
      /launch.json: its content has changed since it was written\. Run `store verify --repair`/,
    ),
  ])
  expect((await store("verify", out)).stdout.match(/^damaged: launches\/.*/gm)).toEqual([
    `damaged: launches/${launch}/launch.json: its content has changed since it was written`,
    `damaged: launches/code/${copy}: it is not the code that was copied`,
  ])
  expect((await store("verify", out, "--repair")).code).toBe(0)
  expect((await store("verify", out)).code).toBe(0)
  const listed = await store("gc", out, "--older", "0m")
  expect([listed.code, listed.stdout]).toEqual([
    0,
    expect.stringMatching(/ it was cut off before it began +launches\/20200101T000000-00000000\n/),
  ])
  expect((await sample(out, "--set", "seeds=1..3")).code).toBe(0)
  expect((await store("verify", out)).code).toBe(0)
})

test("whatever a store has beside the folders of its reports is no name of a pipeline", () => {
  const names = fs.readdirSync(made).filter((name) => name !== "sample")
  expect(names.length).toBeGreaterThan(5)
  for (const name of names) expect(expectedName(name)).toContain("another than")
})

test("a damaged page is set aside when it is published, told, and made again", async () => {
  const out = copyOf("page")
  flip(join(folderOf(out, "sample-listing"), "data", "index.html"))
  const { code, stderr } = await sample(out)
  expect([code, stderr]).toEqual([0, expect.stringMatching(/^damaged: sample-listing .*set aside in /m)])
  expect(stderr).toContain("1 unit made, 5 reused, 0 failed")
  expect(digests(out).sort()).toEqual(digests(made).sort())
})

test("gc lists what no report needs, and removes it only if told", async () => {
  const out = copyOf("garbage")
  expect((await sample(out, "--set", "seeds=1", "--set", "title=other")).code).toBe(0)
  const [other] = fs
    .readdirSync(join(out, "sample"))
    .filter((name) => name !== "latest" && !fs.existsSync(join(made, "sample", name)))
  expect((await store("gc", out, "--older", "0m")).stdout).toBe("there is nothing to remove\n")
  fs.rmSync(join(out, "sample", other!), { recursive: true })
  expect((await store("gc", out, "--older", "0m")).stdout).toBe("there is nothing to remove\n")
  const launches = fs.readdirSync(join(out, "launches")).filter((name) => name !== "code")
  fs.rmSync(join(out, "launches", launches.sort().at(-1)!), { recursive: true })
  expect((await store("gc", out)).stdout).toBe("there is nothing to remove\n")
  const listed = await store("gc", out, "--older", "0m")
  expect(listed.stdout).toMatch(
    /^ *\d+ B +.* s +nothing needs it +sample-listing title=other\n.* its unit is gone +logs.sample-listing-[0-9a-f]{20}\.log\n2 items, .* would go with --delete/,
  )
  expect(fs.readdirSync(join(out, "artifacts"))).toHaveLength(7)
  expect((await store("gc", out, "--older", "0m", "--delete")).stdout).toMatch(/\nremoved 2 items, /)
  expect(fs.readdirSync(join(out, "artifacts"))).toHaveLength(6)
  expect((await sample(out)).stderr).toContain("nothing to do")
  const [report] = fs.readdirSync(join(made, "sample")).filter((name) => name !== "latest")
  fs.writeFileSync(join(out, "sample", report!, "report.json"), "{")
  const refused = await store("gc", out, "--delete")
  expect([refused.code, refused.stdout, refused.stderr]).toEqual([
    2,
    "",
    expect.stringContaining("nothing can go, since"),
  ])
})

test("what is exported is an --out of its own, and whole", async () => {
  const to = join(root, "exported")
  const first = await store("export", made, "sample-walk", "sample-source", "--to", to)
  expect(first.stdout).toContain("3 units, 73 B, in ")
  expect(first.stdout).toContain("3 copied, 0 there already")
  const second = await store("export", made, "sample-walk", "--to", to)
  expect(second.stdout).toContain("0 copied, 2 there already")
  expect((await store("verify", to)).code).toBe(0)
  expect((await sample(to)).stderr).toContain("3 units made, 3 reused, 0 failed")
  const out = copyOf("unexported")
  flip(join(folderOf(out, "sample-walk"), "data", "numbers.json"))
  const refused = await store("export", out, "sample-walk", "--to", join(root, "none"))
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("it is damaged: numbers.json")])
  expect(fs.existsSync(join(root, "none", "artifacts", basename(folderOf(out, "sample-walk"))))).toBe(false)
})

test.skipIf(!mayMount)(
  "a read-only store can be planned from, listed and verified; a run says what to do",
  async () => {
    const disk = smallDisk(20_000)!
    const out = disk.folder
    try {
      fs.cpSync(made, out, { recursive: true, verbatimSymlinks: true })
      fs.truncateSync(join(folderOf(out, "sample-walk"), "manifest.json"))
      disk.makeReadOnly()
      const plan = await sample(out, "--plan")
      expect([plan.code, plan.stderr]).toEqual([
        0,
        expect.stringMatching(/^damaged: .*it is empty; a run sets it aside$/m),
      ])
      expect((await store("ls", out)).stdout).toMatch(/^damaged /m)
      expect((await store("verify", out)).code).toBe(1)
      const ran = await sample(out)
      expect([ran.code, ran.stderr]).toEqual([
        2,
        expect.stringContaining("the file system is read-only. Make it writable"),
      ])
    } finally {
      disk.remove()
    }
  },
)

test("help names the commands, and a wrong one is told", async () => {
  expect(await help("store --help")).toMatch(/\n {2}ls .*\n[\s\S]*\n {2}export /)
  expect(await help("store gc --help")).toContain("--older AGE")
  expect((await answer("store lst")).stderr).toBe("there is no command store lst; did you mean ls?\n")
  expect((await answer("store gc --older 7")).stderr).toContain(
    "--older must be an age such as 7d, 12h or 30m",
  )
})
