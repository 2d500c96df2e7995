import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import type { CohortTaken, Labels, Outcome, PluginError } from "../../../core/api/plugin.ts"
import type { Row } from "../../../core/artifacts/observations.ts"
import type { PageGiven } from "../../../core/artifacts/page.ts"
import type { Run } from "../../../core/artifacts/run.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import { scalingMap } from "../../../plugins/report/scaling-map.ts"
import { completed } from "../finetune/running.ts"
import { provenanceOf } from "./shared/provenance.ts"

const start = scalingMap.run as unknown as (context: object) => Effect.Effect<PageGiven, PluginError>
type Given = {
  readonly runs?: readonly CohortTaken<Run>[]
  readonly observations?: readonly CohortTaken<readonly Row[]>[]
}
const draw = async ({ runs = [], observations = [] }: Given, options: object = {}) => {
  const files = await Effect.runPromise(
    start({
      options: completed(scalingMap, { title: "Batch & rate", ...options }),
      inputs: { runs, observations },
      backend: "wasm",
      provenance: Effect.succeed(provenanceOf()),
    }),
  )
  const file = (name: string) => String(files.get(name))
  const csv = file("scaling-map.csv").trim().split("\r\n")
  const caption = /<figcaption>(.*?)<\/figcaption>/s.exec(file("index.html"))![1]!
  const spec = files.has("scaling-map.vl.json") ? JSON.parse(file("scaling-map.vl.json")) : null
  return { files, csv, caption, page: file("index.html"), spec }
}

/** A run on ten dev examples, of which it gets some right; the baseline gets five. */
const run = (right: number): Outcome<Run> => ({
  status: "done",
  value: {
    seed: 1,
    steps: 1,
    warmupSteps: 0,
    loss: new Float64Array(1),
    learningRate: new Float64Array(1),
    gradientNorm: new Float64Array(1),
    predictions: Float64Array.from({ length: 10 }, (_, n) => (n < right ? n % 2 : 1 - (n % 2))),
    labels: Float64Array.from({ length: 10 }, (_, n) => n % 2),
    metrics: ["accuracy"],
    baseline: 0,
  },
})
const diverged = { status: "diverged", reason: "the loss is NaN", step: 1 } as const
const done = (value: readonly Row[]) => ({ status: "done", value }) as const
const cohort = <T>(labels: Labels, ...outcomes: readonly Outcome<T>[]): CohortTaken<T> => ({
  labels,
  members: outcomes.map((outcome, i) => ({ seed: i + 1, outcome })),
})

/** The best rates are 1e-4 at batch 8 and 2e-4 at batch 16: linear scaling. */
const runs = [
  cohort({ arm: "a", batch: 8, lr: 1e-4 }, run(9), run(8)),
  cohort({ arm: "a", batch: 8, lr: 2e-4 }, run(6), run(5)),
  cohort({ arm: "a", batch: 16, lr: 1e-4 }, run(7), run(7)),
  cohort({ arm: "a", batch: 16, lr: 2e-4 }, run(9), diverged),
]
interface Mark {
  readonly x: number
  readonly y: number
  readonly mean?: number
  readonly best?: boolean
  readonly law?: string
}

describe("a metric over batch size and learning rate", () => {
  test("has the mean, the runs and the failures of each cell, diverged runs among the failures", async () => {
    const { csv, page } = await draw({ runs })
    expect(csv).toEqual([
      "panel,batch,lr,mean,n,failures,ended",
      ",8,0.0001,85,2,0,2",
      ",8,0.0002,55,2,1,2",
      ",16,0.0001,70,2,0,2",
      ",16,0.0002,90,1,1,2",
    ])
    expect(page).toContain("8 runs ended, of which 2 failed.")
  })

  test("marks the best rate of each batch, and draws the laws through that of the least batch", async () => {
    const { spec, caption } = await draw({ runs })
    const values: readonly Mark[] = spec.data.values
    const rings = values.filter(({ best }) => best === true).map(({ x, y }) => [x, y])
    expect(rings).toEqual([
      [8, 1e-4],
      [16, 2e-4],
    ])
    const at16 = values.filter(({ law, x }) => law !== undefined && x === 16)
    expect(Object.fromEntries(at16.map(({ law, y }) => [law, y]))).toEqual({
      linear: expect.closeTo(2e-4, 12),
      "square root": expect.closeTo(1e-4 * Math.SQRT2, 12),
    })
    expect(caption).toContain("Colour: mean accuracy of 1 to 2 runs, by batch and lr")
    expect(caption).toContain("linear (exponent 1), square root (exponent 0.5)")
  })

  test("has a panel for each value of a label", async () => {
    const other = runs.map(({ labels, members }) => ({ labels: { ...labels, arm: "b" }, members }))
    const { csv, spec } = await draw({ runs: [...other, ...runs] }, { facet: "arm" })
    expect(csv.slice(1).map((row) => row.split(",")[0])).toEqual(["b", "b", "b", "b", "a", "a", "a", "a"])
    expect(spec.facet.sort).toEqual(["b", "a"])
  })

  test("without a finished run says so and draws nothing", async () => {
    const { spec, caption, files } = await draw({ runs: [cohort({ batch: 8, lr: 1e-4 }, diverged)] })
    expect(spec).toBeNull()
    expect(files.has("scaling-map.svg")).toBe(false)
    expect(caption).toContain("No run has finished, so there is nothing to draw.")
  })
})

describe("an observation over batch size and learning rate", () => {
  const rows = (...ranks: readonly number[]) =>
    done([
      { step: 0, block: "encoder", rank: 99 },
      ...ranks.map((rank, layer) => ({ step: 9, block: `layer.${layer}`, rank })),
      { step: 9, block: "encoder", rank: ranks.reduce((sum, rank) => sum + rank, 0) },
    ])
  const observations = [
    cohort<readonly Row[]>({ batch: 8, lr: 1e-4 }, rows(1, 2), rows(3, 4)),
    cohort<readonly Row[]>({ batch: 16, lr: 1e-4 }, rows(5, 6), diverged),
  ]

  test("takes the rows asked for, at the first or the last step of a run, one number a run", async () => {
    const at = (step: string | number) =>
      draw({ observations }, { column: "rank", where: { block: "encoder", step } })
    const last = ["panel,batch,lr,mean,n,failures,ended", ",8,0.0001,5,2,0,0", ",16,0.0001,11,1,0,0"]
    expect((await at("last")).csv).toEqual(last)
    expect((await at(9)).csv).toEqual(last)
    expect((await at("first")).csv[1]).toBe(",8,0.0001,99,2,0,0")
  })
})

describe("refused at planning", () => {
  const plan = (options: object, given: Given) => {
    const estimate = scalingMap.estimate as unknown as (options: object, inputs: object) => object
    const estimated = ({ labels }: { readonly labels: Labels }) => ({
      labels,
      members: [{ seed: 1, estimate: { rows: 1, columns: ["rank"] } }],
    })
    return () =>
      estimate(completed(scalingMap, { title: "T", ...options }), {
        runs: (given.runs ?? []).map(estimated),
        observations: (given.observations ?? []).map(estimated),
      })
  }

  test("labels that are missing or are no numbers above 0, a panel without a label, a column that nothing has", () => {
    expect(plan({}, { runs })).not.toThrow()
    expect(plan({}, { runs: [] })).toThrow(InvalidInput)
    expect(plan({ x: "size" }, { runs })).toThrow("the label size of every cohort, found none")
    expect(plan({ x: "arm" }, { runs })).toThrow(
      "expected a number above 0 as the label arm of every cohort, found a",
    )
    expect(plan({ facet: "method" }, { runs })).toThrow(
      "facet: expected a label of every cohort, found method",
    )
    const observations = [cohort<readonly Row[]>({ batch: 8, lr: 1e-4 }, done([]))]
    expect(plan({ column: "rank" }, { observations })).not.toThrow()
    expect(plan({ column: "norm" }, { observations })).toThrow(
      "column: expected one that all observations have, found norm",
    )
  })
})
