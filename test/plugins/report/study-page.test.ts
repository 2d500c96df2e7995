import { afterAll, describe, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type { PluginError } from "../../../core/api/plugin.ts"
import type { MetricName } from "../../../core/artifacts/metrics.ts"
import type { PageGiven } from "../../../core/artifacts/page.ts"
import type { RunTaken } from "../../../core/artifacts/run.ts"
import { fewerFailures } from "../../../plugins/report/shared/claims/fewer-failures.ts"
import { studyPage } from "../../../plugins/report/study-page.ts"
import { completed } from "../finetune/running.ts"
import { provenanceOf } from "./shared/provenance.ts"

const folder = mkdtempSync(join(tmpdir(), "study-page-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Start = (context: object) => Effect.Effect<PageGiven, PluginError>
const start = studyPage.run as unknown as Start

const runOf = (metrics: readonly MetricName[], predictions: readonly number[]): RunTaken => ({
  seed: 1,
  steps: 0,
  warmupSteps: 0,
  loss: new Float64Array(),
  learningRate: new Float64Array(),
  gradientNorm: new Float64Array(),
  predictions: Float64Array.from(predictions),
  labels: Float64Array.of(1, 2, 3),
  metrics,
  baseline: 2,
  modelFolder: null,
})

const nothing = { runs: [], ranks: [], trajectories: [], furtherTraining: [], observations: [] }

const page = (inputs: object, given: object = {}) => {
  const options = completed(studyPage, { title: "A study", arms: ["arm 0", "arm 1"], ...given })
  const provenance = Effect.succeed(provenanceOf())
  return start({
    options,
    backend: "cpu",
    provenance,
    differences: () => [],
    inputs: { ...nothing, ...inputs },
  })
}

const member = (seed: number, value: unknown) => ({ seed, outcome: { status: "done", value } })

const runsOf = (...runs: readonly RunTaken[]) => ({
  runs: runs.map((value, i) => ({ labels: { arm: `arm ${i}`, lr: 1e-5 }, members: [member(1, value)] })),
})

const summaryOf = async (files: Effect.Effect<PageGiven, PluginError>) =>
  String((await Effect.runPromise(files)).get("summary.md"))

const refusal = async (files: Effect.Effect<PageGiven, PluginError>) =>
  (await Effect.runPromise(Effect.flip(files))).message

test("a run is judged by its task's first metric", async () => {
  const summary = await summaryOf(
    page(runsOf(runOf(["pearson", "spearman"], [1, 2, 4]), runOf(["pearson", "spearman"], [2, 2, 2]))),
  )
  expect(summary).toContain("arm 0: 0 of 1 run failed; highest mean Pearson correlation 98.2 ×100")
  expect(summary).toContain("arm 1: 1 of 1 run failed; highest mean Pearson correlation 0.0 ×100")
})

test("runs of tasks with other metrics are refused", async () => {
  expect(await refusal(page(runsOf(runOf(["pearson"], [1, 2, 4]), runOf(["accuracy"], [1, 2, 3]))))).toBe(
    "study-page: runs: expected runs of one task, found runs scored by pearson and accuracy",
  )
})

describe("before anything runs", () => {
  const estimate = studyPage.estimate as unknown as (options: object, inputs: object) => unknown
  const planned = (inputs: object) => () =>
    estimate(completed(studyPage, { title: "A study", arms: ["arm 0"] }), { ...nothing, ...inputs })
  const members = [{ seed: 1, estimate: {} }]

  test("a cohort with another label is refused: its runs would be taken for others", () => {
    for (const name of ["runs", "ranks", "trajectories"]) {
      const labels = { arm: "arm 0", lr: 1e-5, batch: 16 }
      expect(planned({ [name]: [{ labels, members }] })).toThrow(
        `study-page: the labels of ${name}: batch must be removed`,
      )
    }
    expect(planned({ furtherTraining: [{ labels: { arm: "arm 0", lr: 1 }, members }] })).toThrow(
      "study-page: the labels of furtherTraining: lr must be removed",
    )
  })

  test("a run that is there twice is refused", () => {
    const cohort = { labels: { arm: "arm 0", lr: 1e-5 }, members }
    expect(planned({ runs: [cohort, cohort] })).toThrow(
      'study-page: runs: expected each run once, found ["arm 0",null,0.00001,1] twice',
    )
  })
})

describe("checkpoints", () => {
  const cohort = (checkpoint: number, predictions: readonly number[]) => ({
    labels: { arm: "arm 1", checkpoint, lr: 1e-5 },
    members: [1, 2].map((seed) => member(seed, runOf(["accuracy"], predictions))),
  })
  const runs = [
    {
      labels: { arm: "arm 0", lr: 1e-5 },
      members: [1, 2].map((seed) => member(seed, runOf(["accuracy"], [1, 2, 1]))),
    },
    cohort(43, [1, 1, 1]),
    cohort(42, [1, 2, 3]),
  ]

  test("of an arm are told apart, with those that are there under the rows of all", async () => {
    const files = await Effect.runPromise(page({ runs }))
    const lines = String(files.get("table-1.csv")).split("\r\n")
    expect(lines.map((line) => line.split(",").slice(0, 5).join(","))).toEqual([
      "arm,lr,checkpoint,runs,s_ddof0",
      "arm 0,0.00001,all,2,0",
      "arm 1,0.00001,all,4,33.3333333333",
      "arm 1,0.00001,42,2,0",
      "arm 1,0.00001,43,2,0",
      "",
    ])
    const summary = String(files.get("summary.md"))
    // 4 runs: 100, 100, 33.3 and 33.3 %; within checkpoints they do not differ.
    expect(summary).toMatch(/\| arm 1 \| 1e-5 \| 2 \| 4 \| 33\.3 \| [^|]+\| 0\.0 \| 38\.5 \| 66\.7 \|/)
    const [, , last] = String(files.get("checkpoints.csv")).split("\r\n")
    expect(last).toMatch(/^arm 1,0\.00001,43,2,0,0,[\d.]+,33\.3333333333,33\.3333333333,2$/)
  })

  test("their training is read from their folders: exported step and dev scores", async () => {
    const checkpoint = join(folder, "checkpoint")
    mkdirSync(checkpoint)
    writeFileSync(
      join(checkpoint, "training.json"),
      JSON.stringify({
        method: "simcse",
        options: {},
        loss: [0.5, 0.4, 0.3],
        evaluations: [
          { step: 1, score: 0.25 },
          { step: 2, score: 0.5 },
          { step: 3, score: 0.375 },
        ],
        exportedStep: 2,
      }),
    )
    const furtherTraining = [
      { labels: { arm: "arm 1" }, members: [member(42, { folder: checkpoint, config: {} })] },
    ]
    const files = await Effect.runPromise(page({ furtherTraining }))
    expect(String(files.get("summary.md"))).toContain("| arm 1 | 42 | simcse | 3 | 2 | 50.0 | 37.5 |")
    expect(String(files.get("further-training-curves.csv"))).toBe(
      "arm,checkpoint,step,score,exported\r\narm 1,42,1,25,false\r\narm 1,42,2,50,true\r\narm 1,42,3,37.5,false\r\n",
    )
    expect(files.has("further-training-curves.svg")).toBe(true)
  })

  test("that have no record of a training are refused, with the file", async () => {
    const furtherTraining = [{ labels: { arm: "arm 1" }, members: [member(42, { folder, config: {} })] }]
    expect(await refusal(page({ furtherTraining }))).toContain(join(folder, "training.json"))
  })
})

describe("claims", () => {
  const failing = runOf(["accuracy"], [2, 2, 2])
  const better = runOf(["accuracy"], [1, 2, 3])
  const seeds = [1, 2, 3, 4, 5, 6, 7, 8]
  const cohort = (arm: string, value: RunTaken) => ({
    labels: { arm, lr: 1e-5 },
    members: seeds.map((seed) => member(seed, value)),
  })
  const runs = [cohort("arm 0", failing), cohort("arm 1", better)]

  test("are at the top of the page and in claims.json, and a sentence says which arms differ", async () => {
    const claims = [fewerFailures({ arm: "arm 1", than: "arm 0", lr: 1e-5 })]
    const files = await Effect.runPromise(page({ runs }, { claims }))
    const summary = String(files.get("summary.md"))
    expect(summary).toContain("Verdicts of 1 claim: holds 1, does not hold 0, cannot be told 0.")
    expect(summary).toContain(
      "Arms that differ beyond chance: arm 1 and arm 0 (arm 1 fails in fewer runs than arm 0 at lr=1e-5: holds).",
    )
    expect(summary.indexOf("## Claims")).toBeLessThan(summary.indexOf("## Stability"))
    const json = JSON.parse(String(files.get("claims.json")))
    // 8 seeds of which only arm 0 failed: 2 / 2⁸.
    expect(json.claims[0]).toMatchObject({
      verdict: "holds",
      effect: { value: -100 },
      test: { p: 2 / 2 ** 8 },
      seeds: 8,
    })
  })

  test("of which none can be tested are not said to show no difference", async () => {
    const none = runs.map(({ labels, members }) => ({
      labels,
      members: members.map(({ seed }) => ({
        seed,
        outcome: { status: "failed", kind: "plugin", reason: "the disk is full" } as const,
      })),
    }))
    const claims = [fewerFailures({ arm: "arm 1", than: "arm 0", lr: 1e-5 })]
    const summary = String((await Effect.runPromise(page({ runs: none }, { claims }))).get("summary.md"))
    expect(summary).toContain("The results do not allow any claim to be tested.")
    expect(summary).not.toContain("No two arms differ")
  })

  test("that cannot be told say how many seeds it would take, and what the design cannot show", async () => {
    const few = runs.map(({ labels, members }) => ({ labels, members: members.slice(0, 3) }))
    const claims = [fewerFailures({ arm: "arm 1", than: "arm 0", lr: 1e-5 })]
    const files = await Effect.runPromise(page({ runs: few }, { claims }))
    const summary = String(files.get("summary.md"))
    expect(summary).toContain("No two arms differ beyond chance in any claim.")
    expect(summary).toContain(
      "| The least p that this design can give is 0.25, so it cannot be told. | arm 1 fails in fewer runs than arm 0 at lr=1e-5. |",
    )
    expect(summary).toMatch(/\| cannot be told \|.*\| 0\.25 \| 0\.25 \| 3 \| [6-9] \|/)
  })

  test("none was given: the page says so", async () => {
    const files = await Effect.runPromise(page({ runs }))
    expect(String(files.get("summary.md"))).toContain("No claim was given, so nothing is tested.")
    expect(String(files.get("index.html"))).toContain("No claim was given.")
    expect(JSON.parse(String(files.get("claims.json")))).toEqual({
      claims: [],
      limits: [],
      confounded: [],
    })
  })

  test("of arms that the design does not have are refused when the plan is made, and the design is told", () => {
    const estimate = studyPage.estimate as unknown as (options: object, inputs: object) => unknown
    const design = studyPage.design as unknown as (options: object, inputs: object) => readonly string[]
    const planned = {
      ...nothing,
      runs: runs.map(({ labels, members }) => ({
        labels,
        members: members.map(({ seed }) => ({ seed, estimate: {} })),
      })),
    }
    const of = (arm: string) => ({ claims: [fewerFailures({ arm, than: "arm 0", lr: 1e-5 })] })
    expect(() => estimate(of("arm 2"), planned)).toThrow("arm 2")
    expect(() => estimate(of("arm 1"), planned)).not.toThrow()
    expect(design(of("arm 1"), planned)).toEqual([expect.stringContaining("arm 1 fails in fewer runs")])
  })
})
