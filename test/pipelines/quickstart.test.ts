import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const project = join(import.meta.dir, "..", "..")
const deno = join(project, "node_modules", "deno", "bin.cjs")
const runtimes = { bun: [process.execPath], deno: ["node", deno, "run", "--allow-all"] } as const
const size = { layers: 1, hidden: 8, sentences: 200, mlmSteps: 4, simcseSteps: 2, train: 64, dev: 16 }
const seeds = { simcseSeeds: 42, seeds: 1, rankSeeds: "1,2" }
const settings = { ...size, ...seeds, lr: "1e-3,1e30", epochs: 1, samples: 4 }

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kasosei-quickstart-"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** The contents of the store: the digest of each artifact, or why there is none. */
const contents = (out: string) =>
  Object.fromEntries(
    readdirSync(join(out, "artifacts")).map((name) => {
      const folder = join(out, "artifacts", name)
      const failure = join(folder, "divergence.json")
      if (existsSync(failure)) return [name, JSON.parse(readFileSync(failure, "utf8")).reason]
      return [name, JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")).digest]
    }),
  )

/** The files of a folder, by name. */
const textsIn = (folder: string) =>
  readdirSync(folder)
    .sort()
    .map((name) => [name, readFileSync(join(folder, name), "utf8")] as const)

const run = async (runtime: keyof typeof runtimes) => {
  const command = runtimes[runtime]
  const out = join(root, runtime)
  const set = Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`])
  const child = Bun.spawn(
    [
      ...[...command, "core/cli/main.ts", "pipeline", "quickstart.ts"],
      ...["--json", "--backend", "wasm", "--jobs", "1", "--out", out, ...set],
    ],
    { cwd: project, stdout: "pipe", stderr: "ignore" },
  )
  const stdout = await new Response(child.stdout).text()
  const status = await child.exited
  return { status, summary: JSON.parse(stdout), contents: contents(out), out }
}

test("the quickstart runs to the end, offline, and gives the same bits under Bun and Deno", async () => {
  const [bun, deno] = await Promise.all([run("bun"), run("deno")])
  // The learning rate 1e30 diverges in every arm, which is a result; the probes that watch it have nothing to observe.
  for (const { status, summary } of [bun, deno]) {
    expect(status).toBe(0)
    expect(summary.failures.map(({ status }: { status: string }) => status)).toContain("diverged")
  }
  expect(deno.summary.made).toBe(bun.summary.made)
  // Where results come from, runtime included, is in these two files alone.
  const provenance = ["provenance.html", "provenance.json"]
  const pages = [bun, deno].map(({ out }) => textsIn(join(out, "quickstart", "latest", "report")))
  const [page, other] = pages.map((files) => files.filter(([name]) => !provenance.includes(name)))
  expect(other).toEqual(page!)
  for (const files of pages) expect(files.map(([name]) => name)).toEqual(expect.arrayContaining(provenance))
  const others = (contents: typeof bun.contents) =>
    Object.entries(contents).filter(([name]) => !name.startsWith("study-page"))
  expect(others(deno.contents)).toEqual(others(bun.contents))
  const report = join(bun.out, "quickstart", "latest", "report")
  const summary = readFileSync(join(report, "summary.md"), "utf8")
  expect(summary).toContain("- 6 fine-tuning runs ended, of which 3 diverged")
  for (const name of ["index.html", "figure-1.svg", "figure-4.svg", "table-1.csv", "table-2.csv"]) {
    expect(readFileSync(join(report, name), "utf8").length).toBeGreaterThan(100)
  }
})
