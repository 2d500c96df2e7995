import { expect, test } from "bun:test"
import { Effect } from "effect"
import type { Differences } from "../../../core/api/difference.ts"
import type { CohortTaken, PluginError } from "../../../core/api/plugin.ts"
import type { Row } from "../../../core/artifacts/observations.ts"
import type { PageGiven } from "../../../core/artifacts/page.ts"
import type { RunTaken } from "../../../core/artifacts/run.ts"
import { claimsPage } from "../../../plugins/report/claims.ts"
import { fewerFailures } from "../../../plugins/report/shared/claims/fewer-failures.ts"
import { observed } from "../../../plugins/report/shared/claims/observed.ts"
import { completed } from "../finetune/running.ts"
import { provenanceOf } from "./shared/provenance.ts"

type Start = (context: object) => Effect.Effect<PageGiven, PluginError>
const start = claimsPage.run as unknown as Start
type Planned = (options: object, inputs: object) => unknown
const estimate = claimsPage.estimate as unknown as Planned
const design = claimsPage.design as unknown as Planned

const page = async (options: object, inputs: object, differences: Differences = () => []) => {
  const provenance = Effect.succeed(provenanceOf())
  const completedOptions = completed(claimsPage, { title: "Ranks and batches", ...options })
  const context = { options: completedOptions, backend: "cpu", provenance, differences }
  const files = await Effect.runPromise(
    start({ ...context, inputs: { runs: [], observations: [], ...inputs } }),
  )
  return (name: string) => {
    const content = files.get(name)
    if (content === undefined) throw new Error(`there is no ${name}, only ${[...files.keys()].join(", ")}`)
    return String(content)
  }
}

const seeds = [1, 2, 3, 4, 5, 6]
const observations = (arm: string, rows: (seed: number) => readonly Row[]): CohortTaken<readonly Row[]> => ({
  labels: { arm },
  members: seeds.map((seed) => ({ seed, outcome: { status: "done", value: rows(seed) } })),
})
/** Ranks by step; arms differ by 0.25, seeds by a hundredth. */
const ranks = (arm: string, level: number) =>
  observations(arm, (seed) => [0, 10].map((step) => ({ step, rank: level + step / 100 + seed / 100 })))
const both = [ranks("vanilla", 0.5), ranks("SimCSE", 0.75)]
const higher = observed({
  arm: "SimCSE",
  than: "vanilla",
  column: "rank",
  direction: "higher",
  where: { step: 0 },
})

const run = (arm: string, predictions: readonly number[]): CohortTaken<RunTaken> => ({
  labels: { arm, batch: 8 },
  members: seeds.map((seed) => ({
    seed,
    outcome: {
      status: "done",
      value: {
        seed,
        steps: 0,
        warmupSteps: 0,
        loss: new Float64Array(),
        learningRate: new Float64Array(),
        gradientNorm: new Float64Array(),
        predictions: Float64Array.from(predictions),
        labels: Float64Array.of(0, 0, 1),
        metrics: ["accuracy"],
        baseline: 0,
        modelFolder: null,
      },
    },
  })),
})

test("what else the sides differ in is among the limits of the claims, and in claims.json", async () => {
  const pooler = { name: "pooler", first: "drawn", second: "kept" }
  const training = { name: "further training", first: "simcse", second: "none" }
  const claim = observed({
    ...{ arm: "SimCSE", than: "vanilla", differs: ["further training"] },
    ...{ column: "rank", direction: "higher", where: { step: 0 } },
  })
  const file = await page({ claims: [claim] }, { observations: both }, (first, second) => {
    expect([first, second]).toEqual([
      { input: "observations", index: 1 },
      { input: "observations", index: 0 },
    ])
    return [training, pooler]
  })
  const limit =
    "Confounders: besides further training, SimCSE differs from vanilla in pooler (drawn against kept), which may be the cause."
  expect(file("index.html")).toContain(limit)
  expect(JSON.parse(file("claims.json"))).toMatchObject({
    limits: expect.arrayContaining([{ limit, claims: [claim.statement] }]),
    confounded: [
      {
        claim: claim.statement,
        arm: "SimCSE",
        than: "vanilla",
        declared: ["further training"],
        undeclared: [pooler],
        absent: [],
      },
    ],
  })
})

test("claims about observations, with the chart that the pipeline asks for", async () => {
  const charts = [{ title: "Rank by step", x: "step", y: "rank", colour: "arm" }]
  // Another probe of the same runs has no such column: it is not drawn, nor counted as left out.
  const norms = observations("vanilla", (seed) => [{ step: 0, norm: seed }])
  const file = await page({ claims: [higher], charts }, { observations: [...both, norms] })
  const [claim] = JSON.parse(file("claims.json")).claims
  expect(claim).toMatchObject({ verdict: "holds", effect: { value: expect.closeTo(0.25, 10) }, seeds: 6 })
  const summary = file("summary.md")
  expect(summary).toContain("Verdicts of 1 claim: holds 1, does not hold 0, cannot be told 0.")
  expect(summary).toContain("Rank by step (chart-1.svg)")
  expect(summary).not.toContain("Left out")
  expect(file("chart-1.csv").split("\r\n")[1]).toStartWith(",vanilla,0,0.535,")
  expect(file("index.html").indexOf("Claims and verdicts")).toBeLessThan(
    file("index.html").indexOf('id="chart-1"'),
  )
  for (const name of ["claims.csv", "provenance.html", "provenance.json", "methods.csv"]) file(name)
})

test("claims about runs, whatever their labels, with every cohort in a table", async () => {
  const claims = [fewerFailures({ arm: "SimCSE", than: "vanilla" })]
  const runs = [run("vanilla", [0, 0, 0]), run("SimCSE", [0, 0, 1])]
  const file = await page({ claims }, { runs })
  // 6 seeds of which only vanilla failed: 2 / 2⁶.
  expect(JSON.parse(file("claims.json")).claims[0]).toMatchObject({
    verdict: "holds",
    test: { p: 2 / 2 ** 6 },
  })
  expect(file("summary.md")).toContain("| vanilla | 8 | 6 | 66.7 | 0.0 | 6 of 6 | 61 to 100\u00a0% |")
  expect(file("runs.csv").split("\r\n").slice(0, 2)).toEqual([
    "arm,batch,seed,status,value,baseline,failed",
    "vanilla,8,1,done,66.6666666667,66.6666666667,true",
  ])
})

test("the same claims give the same bytes, whatever the order of the evidence", async () => {
  const [one, other] = await Promise.all([
    page({ claims: [higher] }, { observations: both }),
    page({ claims: [higher] }, { observations: both.toReversed() }),
  ])
  for (const name of ["claims.json", "index.html", "summary.md"]) expect(other(name)).toBe(one(name))
})

test("what the design cannot show is told when the plan is made, and slips are refused", () => {
  const planned = {
    runs: [],
    observations: both.map(({ labels, members }) => ({
      labels,
      members: members.map(({ seed }) => ({ seed, estimate: { rows: 2, columns: ["step", "rank"] } })),
    })),
  }
  expect(design({ claims: [higher] }, planned)).toEqual([
    expect.stringContaining("SimCSE has a higher rank than vanilla"),
  ])
  const misspelt = observed({ arm: "SimSCE", than: "vanilla", column: "rank", direction: "higher" })
  expect(() => estimate({ claims: [misspelt], charts: [] }, planned)).toThrow("SimSCE")
  const charts = [
    { title: "Norms", x: "step", y: "norm", lines: "mean", where: {}, xScale: "linear", yScale: "linear" },
  ]
  expect(() => estimate({ claims: [higher], charts }, planned)).toThrow('chart "Norms": ')
  expect(() => estimate({ claims: [higher], charts: [{ ...charts[0], y: "rank" }] }, planned)).not.toThrow()
})
