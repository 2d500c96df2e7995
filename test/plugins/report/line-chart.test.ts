import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import type { CohortTaken, Outcome, PluginError } from "../../../core/api/plugin.ts"
import type { Row } from "../../../core/artifacts/observations.ts"
import type { PageGiven } from "../../../core/artifacts/page.ts"
import { graphOf } from "../../../core/engine/graph.ts"
import { computingOf } from "../../../core/engine/key.ts"
import { cpu } from "../../../plugins/backend/cpu.ts"
import { lineChart } from "../../../plugins/report/line-chart.ts"
import { toyStudy } from "../../../plugins/testing/toy-study.ts"
import { completed } from "../finetune/running.ts"
import { axisScale, marks } from "./shared/drawing.ts"
import { provenanceOf } from "./shared/provenance.ts"

type Cohorts = readonly CohortTaken<readonly Row[]>[]
type Start = (context: object) => Effect.Effect<PageGiven, PluginError>
const start = lineChart.run as unknown as Start
const effect = (given: Readonly<Record<string, unknown>>, observations: Cohorts) =>
  start({
    options: completed(lineChart, { title: "Norms", x: "step", y: "norm", ...given }),
    inputs: { observations },
    backend: "wasm",
    provenance: Effect.succeed(provenanceOf()),
  })
const draw = async (given: Readonly<Record<string, unknown>>, observations: Cohorts) => {
  const files = await Effect.runPromise(effect(given, observations))
  const file = (name: string) => String(files.get(name))
  const csv = file("line-chart.csv").trim().split("\r\n")
  const page = file("index.html")
  const caption = /<figcaption>(.*?)<\/figcaption>/s.exec(page)![1]!.replaceAll("&#39;", "'")
  return { files, page, caption, csv, svg: file("line-chart.svg") }
}
const refusal = (given: Readonly<Record<string, unknown>>, observations: Cohorts): Promise<string> =>
  Effect.runPromise(Effect.map(Effect.flip(effect(given, observations)), (error) => error.message))

/** Files of every report. */
const always = ["provenance.html", "provenance.json", "summary.md"]

const done = (value: readonly Row[]) => ({ status: "done", value }) as const
const diverged = { status: "diverged", reason: "the loss is NaN", step: 3 } as const
const cohort = (
  labels: Readonly<Record<string, string | number>>,
  outcomes: readonly Outcome<readonly Row[]>[],
) => ({ labels, members: outcomes.map((outcome, i) => ({ seed: i + 1, outcome })) })

/** Norm by step, for each of several runs. */
const runs = (...norms: readonly (readonly number[])[]) =>
  norms.map((run) => done(run.map((norm, i) => ({ step: 10 * i, norm }))))
const three = cohort({ arm: "vanilla" }, runs([1, 4], [2, 4], [3, 7]))
/** Student's t with two degrees of freedom, for three values whose deviation is s. */
const half = (s: number) => (4.302652729749462 * s) / Math.sqrt(3)

describe("means over seeds", () => {
  test("checkpoints are random as seeds are: their spread is in the interval", async () => {
    const of = (checkpoint: number, ...norms: readonly number[]) =>
      cohort({ arm: "SimCSE", checkpoint }, runs(...norms.map((norm) => [norm])))
    const { csv, caption } = await draw({ colour: "arm" }, [of(42, 1, 2, 4), of(43, 5, 7, 8)])
    // Means of seeds 3, 4.5, 6; of checkpoints 7/3, 20/3. Variances of the mean: 1.5² / 3, and (13/3)² / 2 / 2.
    const [ofSeeds, ofCheckpoints] = [1.5 ** 2 / 3, (13 / 3) ** 2 / 4]
    const reach =
      (ofSeeds * 4.302652729749462 + ofCheckpoints * 12.706204736174694) / Math.sqrt(ofSeeds + ofCheckpoints)
    expect(csv[1]!.split(",").slice(1)).toEqual([
      "SimCSE",
      "0",
      "4.5",
      ...csv[1]!.split(",").slice(4, 6),
      "6",
    ])
    const [lower, upper] = csv[1]!.split(",").slice(4, 6).map(Number)
    expect(lower).toBeCloseTo(4.5 - reach, 9)
    expect(upper).toBeCloseTo(4.5 + reach, 9)
    expect(caption).toContain("mean over checkpoints and seeds, 6 runs per point")
  })

  test("the CSV has each mean with its t interval and its number of runs", async () => {
    const { csv } = await draw({}, [three])
    expect(csv[0]).toBe("facet,colour,x,y,lower,upper,n")
    const rows = csv.slice(1).map((row) => row.split(",").map((field) => (field === "" ? null : +field)))
    expect(rows).toEqual([
      [null, null, 0, 2, expect.closeTo(2 - half(1), 10), expect.closeTo(2 + half(1), 10), 3],
      [
        null,
        null,
        10,
        5,
        expect.closeTo(5 - half(Math.sqrt(3)), 10),
        expect.closeTo(5 + half(Math.sqrt(3)), 10),
        3,
      ],
    ])
  })

  test("lines and bands are drawn at their values on the axes", async () => {
    const { svg, csv } = await draw({}, [cohort({}, runs([11, 14], [12, 14], [13, 17]))])
    const [pixelX, pixelY] = [axisScale(svg, 0), axisScale(svg, 1)]
    const values = csv.slice(1).map((row) => row.split(",").slice(2).map(Number))
    const points = marks(svg, "points_marks").flat()
    expect(points).toHaveLength(2)
    const outline = marks(svg, "bands_marks").flat()[0]!.attributes["d"]!
    const corners = [...outline.matchAll(/[ML]([-\d.]+),([-\d.]+)/g)].map(([, , y]) => Number(y))
    for (const [i, [x, y, lower, upper]] of values.entries()) {
      expect(Math.abs(points[i]!.x - pixelX(x!))).toBeLessThan(0.6)
      expect(Math.abs(points[i]!.y - pixelY(y!))).toBeLessThan(0.6)
      // The outline runs forwards along one edge and backwards along the other.
      const edges = [corners[i]!, corners[3 - i]!].sort((a, b) => a - b)
      expect(Math.abs(edges[0]! - pixelY(upper!))).toBeLessThan(0.6)
      expect(Math.abs(edges[1]! - pixelY(lower!))).toBeLessThan(0.6)
    }
  })

  test("one run has no band, and the caption says so; a single interval becomes a bar", async () => {
    const one = await draw({}, [cohort({ arm: "vanilla" }, runs([1, 2]))])
    expect(one.caption).toContain("Lines: one run per point, so there is no interval.")
    expect(one.svg).not.toContain("bands_marks")
    expect(one.csv[1]).toBe(",,0,1,,,1")
    const bar = await draw({}, [cohort({}, runs([1], [2]))])
    expect(marks(bar.svg, "bars_marks").flat()).toHaveLength(1)
    const equal = await draw({}, [cohort({}, runs([1, 2], [1, 3]))])
    expect(equal.caption).toContain("No interval at 1 point: one run, or all runs equal.")
  })

  test("rows of one run may come from several probes", async () => {
    const before = cohort({ arm: "vanilla" }, [done([{ step: 0, norm: 1 }])])
    const during = cohort({ arm: "vanilla" }, [done([{ step: 5, norm: 2 }])])
    const { csv, page } = await draw({}, [before, during])
    expect(csv.slice(1)).toEqual([",,0,1,,,1", ",,5,2,,,1"])
    expect(page).toContain("<li>2 observations of 1 run.</li>")
  })
})

describe("what tells lines apart", () => {
  const arms = [
    cohort({ arm: "vanilla", lr: 1e-5 }, runs([1, 2], [2, 3])),
    cohort({ arm: "SimCSE", lr: 1e-5 }, runs([5, 6], [6, 7])),
  ]

  test("a label as colour: the first cohort has ink, the legend has the labels", async () => {
    const { svg, csv } = await draw({ colour: "arm" }, arms)
    expect(csv.slice(1).map((row) => row.split(",").slice(1, 4).join(" "))).toEqual([
      "vanilla 0 1.5",
      "vanilla 10 2.5",
      "SimCSE 0 5.5",
      "SimCSE 10 6.5",
    ])
    const strokes = marks(svg, "lines_marks")
      .flat()
      .map(({ attributes }) => attributes["stroke"])
    expect(strokes).toEqual(["currentColor", "#E69F00"])
    expect(svg).toContain(">SimCSE<")
  })

  test("a column as facet: a panel for each of its values, numbers in ascending order", async () => {
    const layers = (norm: number) => done([11, 2, 1].map((layer) => ({ step: 0, layer, norm: norm * layer })))
    const given = [cohort({ arm: "vanilla" }, [layers(1), layers(2)])]
    const shared = await draw({ facet: "layer" }, given)
    expect(marks(shared.svg, "points_marks")).toHaveLength(3)
    expect(shared.csv.slice(1).map((row) => row.split(",")[0])).toEqual(["1", "2", "11"])
    expect(shared.caption).toContain("Panels: layer.")
    const own = await draw({ facet: "layer", yAxis: "own" }, given)
    const heights = (svg: string) => marks(svg, "points_marks").map(([point]) => point!.y)
    expect(new Set(heights(shared.svg)).size).toBe(3)
    // Each panel's own axis spans its own interval, which is proportional to the layer.
    expect(new Set(heights(own.svg).map(Math.round)).size).toBeLessThan(3)
    expect(own.caption).toContain("each has its own vertical axis")
  })

  test("every seed as a line, with what it is in the CSV", async () => {
    const { svg, csv, caption } = await draw({ colour: "arm", lines: "runs" }, arms)
    expect(marks(svg, "lines_marks")).toHaveLength(4)
    expect(svg).not.toContain("bands_marks")
    expect(csv.slice(0, 3)).toEqual([
      "facet,colour,cohort,seed,x,y",
      ",vanilla,arm=vanilla lr=1e-5,1,0,1",
      ",vanilla,arm=vanilla lr=1e-5,1,10,2",
    ])
    expect(caption).toContain("Lines: single runs, 4 in all.")
  })

  test("a label on the horizontal axis joins cohorts to lines", async () => {
    const sweep = [1e-5, 1e-4, 1e-3].map((lr, i) => cohort({ arm: "vanilla", lr }, runs([i], [i + 2])))
    const { csv, svg } = await draw({ x: "lr", xScale: "log", where: { step: 0 } }, sweep)
    expect(csv.slice(1).map((row) => row.split(",").slice(2, 4))).toEqual([
      ["0.00001", "1"],
      ["0.0001", "2"],
      ["0.001", "3"],
    ])
    const [a, b, c] = marks(svg, "points_marks").flat()
    expect(b!.x - a!.x).toBeCloseTo(c!.x - b!.x, 6)
    const each = await draw({ x: "lr", lines: "runs" }, sweep)
    expect(marks(each.svg, "lines_marks")).toHaveLength(2)
    expect(each.caption).toContain("Lines: single runs, 6 in all; each line joins those of a seed.")
  })

  test("means at texts stand apart, with bars as intervals", async () => {
    const given = ["vanilla", "SimCSE"].map((arm, i) => cohort({ arm }, runs([i], [i + 1], [i + 3])))
    const { svg, caption } = await draw({ x: "arm", where: { step: 0 } }, given)
    expect(marks(svg, "points_marks").flat()).toHaveLength(2)
    expect(marks(svg, "bars_marks").flat()).toHaveLength(2)
    expect(marks(svg, "lines_marks").flat()).toHaveLength(0)
    expect(caption).toContain("Points: mean over seeds, 3 runs per point; bars: 95 % interval of the mean")
  })

  test("texts on the horizontal axis keep their order; false comes before true", async () => {
    const blocks = ["pooler", "embeddings"].map((block, i) => ({ block, tied: i === 0, norm: i }))
    const texts = await draw({ x: "block" }, [cohort({}, [done(blocks)])])
    expect(texts.csv.slice(1).map((row) => row.split(",")[2])).toEqual(["pooler", "embeddings"])
    const [pooler, embeddings] = marks(texts.svg, "points_marks").flat()
    expect(pooler!.x).toBeLessThan(embeddings!.x)
    const booleans = await draw({ x: "tied" }, [cohort({}, [done(blocks)])])
    expect(booleans.csv.slice(1).map((row) => row.split(",")[2])).toEqual(["false", "true"])
  })

  test("more texts than colours also differ in their dashes; many numbers have a continuous legend", async () => {
    const many = Array.from({ length: 9 }, (_, i) => cohort({ arm: `arm ${i}` }, runs([i, i + 1])))
    const { svg } = await draw({ colour: "arm" }, many)
    const looks = marks(svg, "lines_marks")
      .flat()
      .map(({ attributes }) => `${attributes["stroke"]} ${attributes["stroke-dasharray"]}`)
    expect(new Set(looks).size).toBe(9)
    const steps = Array.from({ length: 20 }, (_, step) =>
      ["a", "b"].map((block) => ({ step, block, norm: step })),
    )
    const numbers = await draw({ x: "block", colour: "step" }, [cohort({}, [done(steps.flat())])])
    const fills = marks(numbers.svg, "points_marks")
      .flat()
      .map(({ attributes }) => attributes["fill"])
    expect(new Set(fills).size).toBe(20)
  })

  test("names that mean something to Vega-Lite are only names", async () => {
    const rows = [0, 1].map((step) => ({ "step[0].a'b": step, norm: step }))
    const { csv, svg } = await draw({ x: "step[0].a'b", title: "<b>" }, [cohort({}, [done(rows)])])
    expect(csv.slice(1)).toEqual([",,0,0,,,1", ",,1,1,,,1"])
    expect(marks(svg, "points_marks").flat()).toHaveLength(2)
  })
})

describe("what is not drawn is said", () => {
  test("runs that diverged, failed or have no rows", async () => {
    const failed = { status: "failed", reason: "killed" } as const
    const given = cohort({ arm: "vanilla" }, [...runs([1, 2]), diverged, failed, done([])])
    const { caption, page } = await draw({}, [given])
    expect(caption).toContain(
      "Not drawn: 1 run that diverged, 1 run that failed, 1 run that finished without rows.",
    )
    expect(page).toContain("<li>arm=vanilla seed 2: diverged (at step 3: the loss is NaN)</li>")
    expect(page).toContain("<li>arm=vanilla seed 3: failed (killed)</li>")
    expect(page).toContain("<li>arm=vanilla seed 4: empty (no rows)</li>")
  })

  test("a run that diverged counts once, though two probes watched it", async () => {
    const twice = [cohort({}, [...runs([1]), diverged]), cohort({}, [done([{ step: 9, norm: 1 }]), diverged])]
    const { caption, page } = await draw({}, twice)
    expect(caption).toContain("Not drawn: 1 run that diverged.")
    expect(page.match(/seed 2: diverged/g)).toHaveLength(1)
  })

  test("a run that where excludes is not missing", async () => {
    const other = cohort({ arm: "SimCSE" }, [diverged])
    const { caption } = await draw({ where: { arm: "vanilla" } }, [three, other])
    expect(caption).toContain("norm against step, for arm vanilla.")
    expect(caption).not.toContain("Not drawn")
  })

  test("rows without a value, or with one that has no place on the axis", async () => {
    const rows: readonly Row[] = [
      { step: 0, norm: 1, layer: 0 },
      { step: 1, norm: null, layer: 0 },
      { step: 2, norm: 1, layer: null },
      { step: 3, norm: Number.NaN, layer: 0 },
      { norm: 1, layer: 0 },
      { step: 5, norm: -1, layer: 0 },
      { step: 6, norm: 3, layer: 0 },
    ]
    const { caption, csv } = await draw({ colour: "layer", yScale: "log" }, [cohort({}, [done(rows)])])
    expect(csv.slice(1).map((row) => row.split(",")[2])).toEqual(["0", "6"])
    expect(caption).toContain(
      "Left out: 1 row without norm, 1 row without layer, 1 row whose norm is not finite, 1 row without step, 1 row whose norm is not above 0, on a logarithmic axis.",
    )
  })

  test("an interval that reaches 0 on a logarithmic axis is cut off in the drawing, not in the CSV", async () => {
    const { caption, csv, svg } = await draw({ yScale: "log" }, [
      cohort({}, runs([1, 10], [2, 11], [30, 12])),
    ])
    expect(Number(csv[1]!.split(",")[4])).toBeLessThan(0)
    expect(caption).toContain("At 1 point the interval reaches 0 or below")
    expect(svg).not.toMatch(/NaN|Infinity/)
    expect(marks(svg, "bands_marks").flat()).toHaveLength(1)
    const panels = [1, 2, 3].map((norm) =>
      done([0, 1].flatMap((step) => [1, 9].map((layer) => ({ step, layer, norm: norm ** 4 * layer })))),
    )
    const own = await draw({ yScale: "log", facet: "layer", yAxis: "own" }, [cohort({}, panels)])
    // Each band ends at the lowest mean of its own panel, which is at the same height in both.
    const [first, second] = marks(own.svg, "bands_marks").map(([band]) => band!.attributes["d"])
    expect(first).toBeDefined()
    expect(second).toBe(first!)
  })

  test("if no run that is asked for has finished, the page says so and has no figure", async () => {
    const given = [three, cohort({ arm: "SimCSE" }, [diverged])]
    const { caption, files } = await draw({ where: { arm: "SimCSE" } }, given)
    expect(caption).toContain("No run has finished, so there is nothing to draw.")
    expect([...files.keys()].sort()).toEqual(["index.html", "line-chart.csv", ...always])
  })
})

test("gives a self-contained page, the figure as SVG and Vega-Lite, and the same bytes each time", async () => {
  const title = "Norms <&>"
  const { files, page } = await draw({ title, colour: "arm" }, [three])
  expect([...files.keys()].sort()).toEqual([
    "index.html",
    "line-chart.csv",
    "line-chart.svg",
    "line-chart.vl.json",
    ...always,
  ])
  expect((await draw({ title, colour: "arm" }, [three])).files).toEqual(files)
  expect(page).toContain("<h1>Norms &#60;&#38;&#62;</h1>")
  expect(page).not.toMatch(/<script|<link|<img| src=/)
  const spec = JSON.parse(String(files.get("line-chart.vl.json")))
  expect(spec.data.values).toHaveLength(2)
  expect(spec.data.values[0]).toMatchObject({ x: 0, y: 2, colour: "vanilla" })
})

describe("is refused when the plan is made", () => {
  const charted = async (options: object) => {
    const { trajectories } = toyStudy
    const settings = { title: "Paths", x: "step", y: "r", facet: "scope", observations: [trajectories] }
    const chart = lineChart({ ...settings, ...options })
    return Effect.runPromise(
      Effect.match(graphOf({ chart }, computingOf(cpu, "fp32")), {
        onFailure: ({ problems }) => problems,
        onSuccess: () => [],
      }),
    )
  }

  test("a name that is neither a column nor a label, a label that no cohort has", async () => {
    expect(await charted({ where: { arm: "toy", seed: [1, 2], scope: "never compared" } })).toEqual([])
    expect(await charted({ x: "stp", where: { arm: "tyo", seed: 3 } })).toEqual([
      'line-chart "Paths": x: there is no column or label stp (columns: layer, loss, phi, r, scope, step; labels: arm, seed)',
      'line-chart "Paths": where: no run has arm tyo (found toy)',
      'line-chart "Paths": where: no run has seed 3 (found 1, 2)',
    ])
  })
})

describe("is refused", () => {
  const rows = (arm: string): readonly Row[] =>
    ["encoder", "pooler"].flatMap((block) =>
      [0, 1].map((step) => ({ step, block, norm: step, arm, gram: Float64Array.of(1) })),
    )
  const given: Cohorts = [cohort({ arm: "vanilla", lr: 1e-5 }, [done(rows("a"))])]
  const plain = (...cells: readonly Row[]): Cohorts => [cohort({ lr: 1e-5 }, [done(cells)])]

  test("unknown columns and labels, all at once, with those that exist", async () => {
    expect(await refusal({ x: "stp", facet: "blok", where: { kind: 1 } }, plain(...rows("a")))).toBe(
      [
        'line-chart "Norms":',
        "  x: there is no column or label stp (columns: step, block, norm, arm, gram; labels: lr, seed)",
        "  facet: there is no column or label blok (columns: step, block, norm, arm, gram; labels: lr, seed)",
        "  where: there is no column or label kind (columns: step, block, norm, arm, gram; labels: lr, seed)",
      ].join("\n"),
    )
  })

  test.each([
    ["a name of both", { colour: "arm" }, given, "arm is a column and a label"],
    ["a text as y", { y: "block" }, given, "y: expected a column of numbers, found text in block"],
    ["arrays", { y: "gram" }, given, "y: gram contains arrays"],
    ["arrays as colour", { colour: "gram" }, given, "colour: gram contains arrays"],
    [
      "a mixed axis",
      {},
      plain({ step: 0, norm: 1 }, { step: "end", norm: 1 }),
      "x: expected values of one type, found numbers and text in step",
    ],
    [
      "a logarithmic axis of texts",
      { x: "block", xScale: "log" },
      given,
      "xScale: a logarithmic axis needs numbers, found text in block",
    ],
    [
      "several rows of a run at one place",
      {},
      given,
      "arm=vanilla lr=1e-5 seed 1 has 2 rows at step 0; they differ in block: give what tells them apart",
    ],
    [
      "the same rows twice",
      {},
      [cohort({}, runs([1])), cohort({}, runs([1]))],
      "seed 1 has 2 rows at step 0; they differ in nothing else",
    ],
    [
      "a mean over cohorts",
      {},
      [1e-5, 2e-5].map((lr) => cohort({ arm: "vanilla", lr }, runs([1]))),
      "a mean over seeds would mix cohorts that differ in lr (1e-5, 2e-5)",
    ],
    [
      "a value that no row has",
      { where: { block: "encodr" } },
      given,
      "no row has block encodr (found encoder, pooler)",
    ],
    ["a label that no run has", { where: { lr: 1e-4 } }, given, "where: no run has lr 1e-4 (found 1e-5)"],
    ["no rows", {}, [cohort({}, [done([])])], "the runs that finished have no rows"],
    [
      "nothing left to draw",
      {},
      plain({ step: 0, norm: null }),
      "nothing is left to draw: 1 row without norm",
    ],
    [
      "more texts than can be told apart",
      { colour: "arm" },
      Array.from({ length: 29 }, (_, i) => cohort({ arm: `arm ${i}` }, runs([1]))),
      "colour: arm has 29 values, of which at most 28 can be shown",
    ],
  ] as const)("%s", async (_what, options, cohorts, expected) => {
    expect(await refusal(options, cohorts as Cohorts)).toContain(expected)
  })

  test("an empty list, and what where cannot hold", () => {
    const problems = (where: unknown) =>
      // @ts-expect-error a pipeline file that is not type-checked
      lineChart({ title: "Norms", x: "step", y: "norm", where, observations: [] }).problems
    expect(problems({ lr: [] })).toHaveLength(1)
    expect(problems("lr=1")[0]).toContain("where must be an object of values")
    expect(problems({ lr: [1e-5, null, true, "a"] })).toEqual([])
  })

  test("values that exist, but in no row together", async () => {
    const apart = plain({ step: 0, block: "a", norm: 1 }, { step: 1, block: "b", norm: 1 })
    expect(await refusal({ where: { step: 0, block: "b" } }, apart)).toContain("matches all of where")
  })
})
