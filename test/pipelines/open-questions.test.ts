/** Studies of batch size, of plasticity and of what the paper leaves unsaid, at the smallest size; one store for all. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command } from "../core/cli/command-line.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(240_000)

const fixtures = join(import.meta.dir, "..", "fixtures")
const toy = { layers: 1, hidden: 8, sentences: 200, mlmSteps: 2, simcseSteps: 2, train: 64, dev: 16 }
const small = { ...toy, simcseBatch: 16, simcseSeeds: 42, seeds: "1,2" }
const real = {
  glue: join(fixtures, "glue"),
  corpus: join(fixtures, "vocab.txt"),
  vocabulary: join(fixtures, "vocab.txt"),
  task: "sst2",
  size: "mini",
}

let out: string
beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), "kasosei-questions-"))
})
afterAll(() => rmSync(out, { recursive: true, force: true }))

const run = (file: string, settings: object, ...flags: readonly string[]) =>
  command([
    "pipeline",
    file,
    ...["--out", out, "--backend", "wasm"],
    ...Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]),
    ...flags,
  ])
const made = async (file: string, settings: object) => {
  const { code, stderr } = await run(file, settings)
  expect([code, stderr]).toEqual([0, expect.stringContaining(" 0 failed")])
  return (target: string, name: string) =>
    readFileSync(join(out, file.replace(".ts", ""), "latest", target, name), "utf8")
}
const statements = (json: string): readonly string[] =>
  JSON.parse(json).claims.map(({ statement }: { readonly statement: string }) => statement)

test("batch-size.ts maps the metric and the rank, and asks for scaling laws within each arm", async () => {
  const file = await made("batch-size.ts", {
    ...small,
    batch: "8,16",
    lr: "1e-3,2e-3",
    samples: 4,
    epochs: 0.5,
  })
  for (const target of ["metric", "rank"]) {
    const rows = file(target, "scaling-map.csv").trim().split("\r\n")
    expect(rows[0]).toBe("arm,batch,lr,mean,n,failures,ended")
    expect(rows.slice(1).map((row) => row.split(",").slice(0, 3).join(" "))).toEqual(
      ["vanilla", "SimCSE(0.1)"].flatMap((arm) =>
        [8, 16].flatMap((batch) => [0.001, 0.002].map((lr) => `${arm} ${batch} ${lr}`)),
      ),
    )
    for (const row of rows.slice(1)) expect(row.split(",")[4]).toBe("2")
  }
  const asked = statements(file("report", "claims.json"))
  expect(asked).toContain("The best learning rate grows as batch to the power 0.5, within 0.25.")
  expect(asked).toContain("batch=16 fails in fewer runs than batch=8 at arm=vanilla.")
  expect(asked).toContain("batch=16 fails in fewer runs than batch=8 at arm=SimCSE(0.1).")
})

test("plasticity.ts fine-tunes twice, asks the first task again, and relates ranks to results", async () => {
  const settings = { ...small, lr: "1e-3,2e-3", epochs: "0.5,1", samples: 4, secondEpochs: 0.5 }
  const file = await made("plasticity.ts", settings)
  const { claims } = JSON.parse(file("report", "claims.json"))
  expect(claims.map(({ kind }: { readonly kind: string }) => kind)).toEqual([
    ...new Array<string>(4).fill("association"),
    "higher-mean",
    "observed",
    "observed",
  ])
  // Two arms, two lengths and two learning rates of the first task.
  expect(file("report", "runs.csv").trim().split("\r\n")).toHaveLength(1 + 2 * 2 * 2 * 2)
})

test("assumptions.ts judges the claims under every specification", async () => {
  const file = await made("assumptions.ts", { ...small, seeds: 1, lr: 1e-3 })
  const { presumed, curves } = JSON.parse(file("report", "specifications.json"))
  expect(Object.keys(presumed)).toEqual(
    "clip,epsilon,decay,fineTuneDropout,pooler,temperature,simcseBatch,selection,samples,threshold".split(
      ",",
    ),
  )
  interface Curve {
    readonly settings: readonly string[]
    readonly specified: readonly { readonly isPresumed: boolean }[]
  }
  const found = (curves as readonly Curve[]).map(({ settings, specified }) => [
    settings.length,
    specified.length,
    specified.filter(({ isPresumed }) => isPresumed).length,
  ])
  // One change of each of eight settings; for the rank, all of these with two numbers of samples and four thresholds.
  expect(found).toEqual([
    [8, 9, 1],
    [8, 9, 1],
    [8, 9, 1],
    [10, 72, 1],
  ])
})

test("each is planned on a task of GLUE too, and pairs of changes give 37 specifications", async () => {
  for (const file of ["batch-size.ts", "plasticity.ts"]) {
    const { code, stderr, stdout } = await run(file, real, "--plan")
    expect([code, stderr]).toEqual([0, ""])
    expect(stdout).toContain("what this design can show")
  }
  const { code, stderr, stdout } = await run("assumptions.ts", { ...real, together: 2 }, "--plan")
  expect([code, stderr]).toEqual([0, ""])
  expect(stdout).toContain("3 claims about runs under 37 specifications")
})
