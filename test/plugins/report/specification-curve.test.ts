import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import type { CohortTaken, Labels, Outcome, PluginError } from "../../../core/api/plugin.ts"
import type { Row } from "../../../core/artifacts/observations.ts"
import type { PageGiven } from "../../../core/artifacts/page.ts"
import { fewerFailures } from "../../../plugins/report/shared/claims/fewer-failures.ts"
import { observed } from "../../../plugins/report/shared/claims/observed.ts"
import { robustnessOf, type Specified } from "../../../plugins/report/specification-curve/specifications.ts"
import { specificationCurve } from "../../../plugins/report/specification-curve.ts"
import { completed } from "../finetune/running.ts"
import { marks } from "./shared/drawing.ts"
import { provenanceOf } from "./shared/provenance.ts"

type Observed = readonly CohortTaken<readonly Row[]>[]
const sides = { arm: "new", than: "old" }
const higher = observed({ ...sides, column: "rank", direction: "higher" })
const presumed = { clip: 1, pooler: "kept" }

const start = specificationCurve.run as unknown as (context: object) => Effect.Effect<PageGiven, PluginError>
const draw = async (observations: Observed, options: object = {}) => {
  const files = await Effect.runPromise(
    start({
      options: completed(specificationCurve, {
        title: "What is open",
        presumed,
        ofObservations: [higher],
        ...options,
      }),
      inputs: { runs: [], observations },
      backend: "wasm",
      provenance: Effect.succeed(provenanceOf()),
      differences: () => [],
    }),
  )
  const file = (name: string) => String(files.get(name))
  const rows = (name: string) =>
    file(name)
      .trim()
      .split("\r\n")
      .map((row) => row.split(","))
  const [headline] = [...file("index.html").matchAll(/<li>(.*?)<\/li>/g)].map(([, line]) =>
    line!.replaceAll("&#34;", '"'),
  )
  return { file, rows, headline, json: JSON.parse(file("specifications.json")) }
}

/** Ranks of both arms over eight seeds, whose differences are `by` give or take a little. */
const pair = (labels: Labels, by: number): Observed =>
  (["new", "old"] as const).map((arm) => ({
    labels: { arm, ...labels },
    members: Array.from({ length: 8 }, (_, i) => ({
      seed: i + 1,
      outcome: {
        status: "done",
        value: [{ step: 0, rank: 10 + i + (arm === "new" ? by + 0.1 * (i % 3) : 0) }],
      } satisfies Outcome<readonly Row[]>,
    })),
  }))

/** As presumed the claim holds; with another clip there is nothing; with a fresh pooler it is the other way round. */
const multiverse = [
  ...pair({ clip: 1, pooler: "kept" }, 2),
  ...pair({ clip: 9, pooler: "kept" }, -0.1),
  ...pair({ clip: 1, pooler: "fresh" }, -3),
]

describe("a claim under every specification", () => {
  test("is judged in each by itself, in the order of its effect", async () => {
    const { rows, json } = await draw(multiverse)
    const [header, ...found] = rows("specification-curve-1.csv")
    expect(header).toEqual("order,presumed,clip,pooler,effect,low,high,p,verdict,seeds".split(","))
    // The differences are `by`, `by` + 0.1 and `by` + 0.2, of which the mean over eight seeds is `by` + 0.0875.
    const picked = found.map(([order, isPresumed, clip, pooler, effect, , , , verdict]) => [
      order,
      isPresumed,
      clip,
      pooler,
      Number(effect),
      verdict,
    ])
    expect(picked).toEqual([
      ["1", "false", "1", "fresh", expect.closeTo(-2.9125, 10), "does not hold"],
      ["2", "false", "9", "kept", expect.closeTo(-0.0125, 10), "cannot be told"],
      ["3", "true", "1", "kept", expect.closeTo(2.0875, 10), "holds"],
    ])
    expect(json.curves[0].robustness).toEqual({
      count: { holds: 1, "does not hold": 1, "cannot be told": 1 },
      presumed: "holds",
      flips: [
        { differs: { pooler: "fresh" }, verdict: "does not hold" },
        { differs: { clip: 9 }, verdict: "cannot be told" },
      ],
      otherSide: 2,
    })
  })

  test("the page says which settings change the verdict", async () => {
    const { headline, rows } = await draw(multiverse)
    expect(headline).toBe(
      `"new has a higher rank than old." Of 3 specifications: holds in 1, does not hold in 1, cannot be told in 1; as presumed, holds; in 2 the effect lies on the other side. The verdict changes with pooler fresh; clip 9.`,
    )
    expect(rows("robustness.csv")[1]!.slice(1)).toEqual(["holds", "3", "1", "1", "1", "2"])
  })

  test("is drawn with its interval, and with what each specification chose", async () => {
    const { file } = await draw(multiverse)
    const svg = file("specification-curve-1.svg")
    const spec = JSON.parse(file("specification-curve-1.vl.json"))
    expect(spec.vconcat).toHaveLength(2)
    expect(
      spec.vconcat[1].data.values.map(({ order, choice }: { order: number; choice: string }) => [
        order,
        choice,
      ]),
    ).toEqual([
      [1, "clip 1"],
      [1, "pooler fresh"],
      [2, "clip 9"],
      [2, "pooler kept"],
      [3, "clip 1"],
      [3, "pooler kept"],
    ])
    // The label of an axis has a minus sign, not a hyphen.
    const labels = marks(svg, "role-axis-label").map((axis) =>
      axis.map(({ text, y }) => ({ value: Number(text?.replace("\u2212", "-")), text, y })),
    )
    const [effects, choices] = labels as [(typeof labels)[number], (typeof labels)[number]]
    const order = (of: typeof effects) => of.toSorted((a, b) => a.y - b.y)
    expect(order(effects).map(({ value }) => value)).toEqual(
      effects.map(({ value }) => value).sort((a, b) => b - a),
    )
    expect(order(choices).map(({ text }) => text)).toEqual([
      "clip 1",
      "clip 9",
      "pooler fresh",
      "pooler kept",
    ])
  })

  test("settings that do not vary are left out, and one specification alone is shown as it is", async () => {
    const { headline, rows } = await draw(pair({ clip: 1, pooler: "kept" }, 2))
    expect(rows("specification-curve-1.csv")[0]).not.toContain("clip")
    expect(headline).toBe(
      `"new has a higher rank than old." Of 1 specification: holds in 1; as presumed, holds.`,
    )
  })
})

test("a ratio lies on the other side of a claim where it is above 1, though its sign is the same", () => {
  const specified = ([1, 2] as const).map((clip): Specified => {
    const [value, leans] = clip === 1 ? ([0.5, "for"] as const) : ([1.5, "against"] as const)
    const effect = { name: "ratio of the spreads S", value, unit: "", neutral: 1 }
    const judged = { verdict: "cannot be told", leans, effect } as unknown as Specified["judged"]
    return { specification: { clip }, isPresumed: clip === 1, judged }
  })
  const curve = { statement: "new has a smaller S than old.", settings: ["clip"], specified }
  expect(robustnessOf({ clip: 1 }, curve)).toMatchObject({ otherSide: 1, flips: [] })
})

describe("refused at planning", () => {
  const plan = (options: object, observations: Observed = multiverse) => {
    const estimate = specificationCurve.estimate as unknown as (options: object, inputs: object) => object
    return () =>
      estimate(
        completed(specificationCurve, { title: "T", presumed, ofObservations: [higher], ...options }),
        {
          runs: [],
          observations: observations.map(({ labels, members }) => ({
            labels,
            members: members.map(({ seed }) => ({ seed, estimate: { rows: 1, columns: ["step", "rank"] } })),
          })),
        },
      )
  }

  test("a setting that nothing is labelled with, a presumed value that was not run, an arm that is not there", () => {
    expect(plan({})).not.toThrow()
    expect(plan({ presumed: { ...presumed, decay: 0 } })).toThrow(
      "presumed: expected a label of all runs or of all observations, found decay",
    )
    expect(plan({ presumed: { clip: 5 } })).toThrow("presumed: no cohort has clip 5")
    const other = observed({ arm: "newer", than: "old", column: "rank", direction: "higher" })
    expect(plan({ ofObservations: [other] })).toThrow("newer")
    expect(plan({ ofObservations: [] })).toThrow("expected at least one claim, found none")
  })

  test("the design says that many verdicts include chance", () => {
    const design = specificationCurve.design as unknown as (
      options: object,
      inputs: object,
    ) => readonly string[]
    const runs = multiverse.map(({ labels }) => ({ labels, members: [{ seed: 1, estimate: {} }] }))
    const options = completed(specificationCurve, { title: "T", presumed, ofRuns: [fewerFailures(sides)] })
    expect(design(options, { runs, observations: [] })).toEqual([
      "1 claim about runs under 3 specifications of clip, pooler: each is judged as in a study of its own, so of many verdicts some may be chance.",
    ])
  })
})
