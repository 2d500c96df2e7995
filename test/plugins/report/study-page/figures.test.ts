import { beforeAll, describe, expect, test } from "bun:test"
import { Effect } from "effect"
import type { Figure } from "../../../../plugins/report/shared/figure.ts"
import type { Field } from "../../../../plugins/report/shared/records.ts"
import { drawSvg } from "../../../../plugins/report/shared/svg.ts"
import { metricFigure } from "../../../../plugins/report/study-page/figures/metric.ts"
import { rankBeforeFigure } from "../../../../plugins/report/study-page/figures/rank-before.ts"
import { rankDuringFigure } from "../../../../plugins/report/study-page/figures/rank-during.ts"
import { thresholdFigure } from "../../../../plugins/report/study-page/figures/threshold.ts"
import { trajectoryFigure } from "../../../../plugins/report/study-page/figures/trajectory.ts"
import { layerRanksOf } from "../../../../plugins/report/study-page/statistics/rank.ts"
import { stabilityOf } from "../../../../plugins/report/study-page/statistics/stability.ts"
import { THRESHOLDS, thresholdRanksOf } from "../../../../plugins/report/study-page/statistics/threshold.ts"
import { armsOf, isFailed, outcomeLookup, type Study } from "../../../../plugins/report/study-page/study.ts"
import { axisScale, type Mark, marks, panelSize } from "../shared/drawing.ts"
import { done, rank, studyOf } from "./fragments.ts"
import { syntheticStudy } from "./synthetic-study.ts"

const draw = ({ name, title, caption, spec }: Figure): Promise<string> => {
  if (spec === null) throw new Error(`${name} has no spec`)
  return Effect.runPromise(drawSvg(name, title, caption.join(" "), spec))
}

const rowsOf = ({ data }: Figure): readonly Readonly<Record<string, Field>>[] =>
  data.rows.map((row) => Object.fromEntries(data.columns.map((column, i) => [column, row[i]!])))

const number = (field: Field | undefined): number => {
  if (typeof field !== "number") throw new Error(`not a number: ${field}`)
  return field
}

const expectPixels = (drawn: readonly number[], expected: readonly number[]) => {
  expect(drawn).toHaveLength(expected.length)
  for (const [i, pixel] of drawn.entries()) expect(Math.abs(pixel - expected[i]!)).toBeLessThan(0.6)
}

/** The corners of a path of straight lines. */
const outline = ({ attributes }: Mark): readonly (readonly [x: number, y: number])[] =>
  [...(attributes.d ?? "").matchAll(/[ML]([-\d.e]+),([-\d.e]+)/g)].map(([, x, y]) => [Number(x), Number(y)])

const small = syntheticStudy({
  arms: ["vanilla", "SimCSE(0.1)"],
  learningRates: [1e-5, 2e-5, 3e-5],
  seeds: 4,
  layers: 3,
  probed: 2,
})

describe("figure 1", () => {
  const figure = metricFigure(armsOf(small), stabilityOf(small))
  let svg: string
  beforeAll(async () => {
    svg = await draw(figure)
  })

  test("every mean, interval and run is drawn at its value on the axes", () => {
    const [pixelX, pixelY] = [axisScale(svg, 0), axisScale(svg, 1)]
    const rows = rowsOf(figure)

    const means = marks(svg, "means_marks").flat()
    expectPixels(
      means.map(({ y }) => y),
      rows.map(({ mean }) => pixelY(number(mean))),
    )
    // Arms are side by side, each nearer to its own learning rate than to the next.
    const gap = pixelX(2e-5) - pixelX(1e-5)
    for (const [i, { x }] of means.entries()) {
      expect(Math.abs(x - pixelX(number(rows[i]!.lr)))).toBeLessThan(gap / 4)
    }

    const spread = rows.filter(({ t_low }) => t_low !== null)
    expect(spread.length).toBeGreaterThan(0)
    expectPixels(
      marks(svg, "intervals_marks")
        .flat()
        .flatMap(({ y, attributes }) => [y, y + Number(attributes.y2)].sort((a, b) => b - a)),
      spread.flatMap(({ t_low, t_high }) => [pixelY(number(t_low)), pixelY(number(t_high))]),
    )

    expectPixels(
      marks(svg, "runs_marks")
        .flat()
        .map(({ y }) => y),
      small.runs.flatMap((run) => (run.status === "done" ? [pixelY((100 * run.value.numerator) / 277)] : [])),
    )
  })

  test("the majority line is drawn at the exact count", () => {
    const [line] = marks(svg, "layer_0_layer_0_marks").flat()
    expectPixels([line!.y], [axisScale(svg, 1)((100 * 146) / 277)])
    expect(svg).toContain(">majority 52.7 %<")
  })

  test("an arm keeps its colour when the first arm has no runs", async () => {
    const study = { ...small, runs: small.runs.filter(({ arm }) => arm !== "vanilla") }
    const alone = await draw(metricFigure(armsOf(study), stabilityOf(study)))
    const colours = (drawn: string) =>
      new Set(
        marks(drawn, "means_marks")
          .flat()
          .map(({ attributes }) => attributes.fill),
      )
    expect(colours(alone)).toEqual(new Set(["#E69F00"]))
    expect(colours(svg)).toEqual(new Set(["currentColor", "#E69F00"]))
  })

  test("one run at one learning rate: a point without an interval, as the caption says", async () => {
    const study = studyOf({ runs: [done("vanilla", 1e-5, 1, 200)] })
    const one = metricFigure(armsOf(study), stabilityOf(study))
    const drawn = await draw(one)
    expect(marks(drawn, "means_marks").flat()).toHaveLength(1)
    expect(marks(drawn, "intervals_marks").flat()).toHaveLength(0)
    expect(one.caption.join(" ")).toContain("No interval at 1 point: one run, or all runs equal.")
  })

  test("learning rates that span more than a decade get a logarithmic axis", async () => {
    const learningRates = [1e-6, 1e-5, 1e-4]
    const study = studyOf({ runs: learningRates.map((lr) => done("vanilla", lr, 1, 200)) })
    const [a, b, c] = marks(await draw(metricFigure(armsOf(study), stabilityOf(study))), "means_marks").flat()
    expect(b!.x - a!.x).toBeCloseTo(c!.x - b!.x, 6)
  })

  test("without an accuracy there is no chart", () => {
    const runs = [
      { arm: "vanilla", checkpoint: null, lr: 1e-5, seed: 1, status: "diverged", reason: "NaN" } as const,
    ]
    const figure = metricFigure(["vanilla"], stabilityOf(studyOf({ runs })))
    expect(figure).toMatchObject({ spec: null, caption: ["No run has an accuracy yet."] })
    expect(figure.data.rows).toEqual([])
  })
})

test("figure 1 has a tick for the mean of each of several checkpoints", async () => {
  const runs = [
    ...[1, 2].map((seed) => done("vanilla", 1e-5, seed, 200)),
    ...[42, 43].flatMap((checkpoint) =>
      [1, 2].map((seed) => ({ ...done("SimCSE", 1e-5, seed, 150 + seed + checkpoint), checkpoint })),
    ),
  ]
  const study = studyOf({ runs })
  const figure = metricFigure(armsOf(study), stabilityOf(study))
  const svg = await draw(figure)
  const ofCheckpoints = rowsOf(figure).filter(({ checkpoint }) => checkpoint !== "all")
  expect(ofCheckpoints.map(({ arm, checkpoint, mean }) => [arm, checkpoint, mean])).toEqual([
    ["SimCSE", 42, expect.closeTo((100 * 193.5) / 277, 9)],
    ["SimCSE", 43, expect.closeTo((100 * 194.5) / 277, 9)],
  ])
  const pixelY = axisScale(svg, 1)
  // A tick is a rectangle, 1.5 pixels high, around its value.
  expectPixels(
    marks(svg, "checkpoints_marks")
      .flat()
      .map((tick) => outline(tick)[0]![1] + 0.75),
    ofCheckpoints.map(({ mean }) => pixelY(number(mean))),
  )
})

describe("figure 2", () => {
  const figure = trajectoryFigure(small)

  test("each panel has the points of its lowest seed at x = r cos φ, y = r sin φ", async () => {
    const panels = marks(await draw(figure), "points_marks")
    expect(panels).toHaveLength(6)
    const expected = small.arms.flatMap((arm) =>
      [1e-5, 2e-5, 3e-5].map((lr) =>
        small.trajectory
          .filter((point) => point.arm === arm && point.lr === lr && point.seed === 1)
          .map(({ r, phi }) => ({ x: r * Math.cos(phi ?? 0), y: r * Math.sin(phi ?? 0) })),
      ),
    )
    // The start (1, 0) and the end (0, 0) fix the scale, which must be equal on both axes to preserve angles.
    for (const [i, points] of panels.entries()) {
      const [start, end] = [points[0]!, points[points.length - 1]!]
      const unit = start.x - end.x
      const drawn = points.map(({ x, y }) => ({ x: (x - end.x) / unit, y: (end.y - y) / unit }))
      expect(drawn).toEqual(
        expected[i]!.map(({ x, y }) => ({ x: expect.closeTo(x, 2), y: expect.closeTo(y, 2) })),
      )
    }
  })

  test("the background is grey if and only if the run failed", async () => {
    const grounds = marks(await draw(figure), "failed_marks")
    const failed = small.runs.filter(({ seed }) => seed === 1).map(isFailed)
    expect(failed).toContain(true)
    expect(failed).toContain(false)
    expect(grounds.map((ground) => ground.length === 1)).toEqual(failed.map((each) => each === true))
  })

  test("the caption says which of several seeds is shown", () => {
    expect(figure.caption.join(" ")).toContain(
      "12 runs were observed, of which 6 are shown: in each panel the run with the lowest seed, given above it.",
    )
    expect(new Set(rowsOf(figure).map(({ seed }) => seed))).toEqual(new Set([1]))
  })

  test("axes extend beyond r = 1 and 105° if points do", async () => {
    const at = { arm: "vanilla", checkpoint: null, lr: 1e-5, seed: 1, loss: null }
    const study = studyOf({
      trajectory: [
        { ...at, step: 0, r: 1, phi: 0 },
        { ...at, step: 1, r: 2.5, phi: (130 * Math.PI) / 180 },
        { ...at, step: 2, r: 0, phi: null },
      ],
    })
    const svg = await draw(trajectoryFigure(study))
    const [points] = marks(svg, "points_marks")
    const [width, height] = panelSize(svg)
    for (const { x, y } of points!) {
      expect(x).toBeWithin(0, width)
      expect(y).toBeWithin(0, height)
    }
    expect(svg).toContain(">135°<")
    expect(svg).toContain(">seed 1, outcome unknown<")
  })

  test("an arm that was not observed at a learning rate has a panel that says so", async () => {
    const study: Study = {
      ...small,
      trajectory: small.trajectory.filter(({ arm, lr }) => arm === "vanilla" || lr === 1e-5),
    }
    const notes = marks(await draw(trajectoryFigure(study)), "notes_marks").flat()
    expect(notes.map(({ text }) => text).filter((text) => text === "not observed")).toHaveLength(2)
  })
})

describe("figure 3", () => {
  test("means and bands are drawn at their values on the axes", async () => {
    const seen = ["vanilla", "SimCSE"].flatMap((arm) =>
      [1, 2, 3].flatMap((seed) =>
        [0, 1, 2].map((layer) => rank(arm, seed, layer, arm.length + 2 * layer + 2 - seed)),
      ),
    )
    const study = studyOf({ before: seen })
    const figure = rankBeforeFigure(armsOf(study), layerRanksOf(study))
    const svg = await draw(figure)
    const [pixelX, pixelY] = [axisScale(svg, 0), axisScale(svg, 1)]
    const rows = rowsOf(figure)
    const means = marks(svg, "means_marks").flat()
    expectPixels(
      means.flatMap(({ x, y }) => [x, y]),
      rows.flatMap(({ layer, mean }) => [pixelX(number(layer) + 1), pixelY(number(mean))]),
    )
    const vanilla = rows.filter(({ arm }) => arm === "vanilla")
    // The outline of a band runs forwards along its lower edge and backwards along its upper edge.
    expectPixels(
      outline(marks(svg, "bands_marks")[0]![0]!).flat(),
      [
        ...vanilla.map((row) => [row.layer, row.low]),
        ...vanilla.map((row) => [row.layer, row.high]).reverse(),
      ].flatMap(([layer, end]) => [pixelX(number(layer) + 1), pixelY(number(end))]),
    )
  })

  test("below are the paired differences from the baseline, on an axis of their own", async () => {
    const seen = [1, 2, 3].flatMap((seed) =>
      [0, 1, 2].flatMap((layer) => [
        rank("vanilla", seed, layer, 2 * seed + layer),
        rank("SimCSE", seed, layer, 2 * seed + layer + 3 + ((seed + layer) % 2)),
      ]),
    )
    const study = studyOf({ before: seen })
    const figure = rankBeforeFigure(armsOf(study), layerRanksOf(study))
    const svg = await draw(figure)
    const rows = rowsOf(figure).filter(({ arm }) => arm === "SimCSE")
    const differences = marks(svg, "differences_means_marks").flat()
    expect(differences).toHaveLength(3)
    // Seeds 1 to 3: odd, even, odd in layer 0.
    expect(rows.map(({ difference }) => difference)).toEqual(
      [4 + 3 + 4, 3 + 4 + 3, 4 + 3 + 4].map((sum) => expect.closeTo(sum / 3 / 16, 9)),
    )
    // The y axis of the lower panel is the fourth of the drawing: x, y, x, y.
    const ticks = marks(svg, "role-axis-tick")[3]!
    const labels = marks(svg, "role-axis-label")[3]!.map(({ text }) => Number(text.replace("−", "-")))
    const unit = (ticks.at(-1)!.y - ticks[0]!.y) / (labels.at(-1)! - labels[0]!)
    expectPixels(
      differences.map(({ y }) => y),
      rows.map(({ difference }) => ticks[0]!.y + unit * (number(difference) - labels[0]!)),
    )
    expect(figure.caption.join(" ")).toContain("Below: the difference from vanilla, paired by seed")
  })

  test("no band for equal or single seeds; a bar for an interval without a neighbour", async () => {
    const study = studyOf({
      before: [1, 2, 3].flatMap((seed) => [rank("vanilla", seed, 1, 16), rank("vanilla", seed, 2, 8 + seed)]),
    })
    const figure = rankBeforeFigure(armsOf(study), layerRanksOf(study))
    expect(figure.caption.join(" ")).toContain("No interval at 1 point")
    const svg = await draw(figure)
    const areas = marks(svg, "bands_marks")
      .flat()
      .map(({ attributes }) => attributes.d ?? "")
    expect(areas.join("")).not.toContain("NaN")
    expect(marks(svg, "bars_marks").flat()).toHaveLength(1)
  })
})

describe("the threshold curve", () => {
  test("draws every sum at its value, against a logarithmic axis of what is left out", async () => {
    const figure = thresholdFigure(armsOf(small), thresholdRanksOf(small))
    const svg = await draw(figure)
    const rows = rowsOf(figure)
    expect(rows).toHaveLength(2 * THRESHOLDS.length)
    const pixelY = axisScale(svg, 1)
    const means = marks(svg, "means_marks").flat()
    expectPixels(
      means.map(({ y }) => y),
      rows.map(({ sum }) => pixelY(number(sum))),
    )
    // From 0.1 at the left to 0.001 at the right.
    const [width] = panelSize(svg)
    expectPixels(
      means.map(({ x }) => x),
      rows.map(({ threshold }) => (width * (-1 - Math.log10(1 - number(threshold)))) / 2),
    )
  })

  test("without ranks there is a sentence", () => {
    expect(thresholdFigure(["vanilla"], [])).toMatchObject({
      spec: null,
      caption: ["No model was probed in every layer before fine-tuning."],
    })
  })
})

describe("figure 4", () => {
  test("each panel has one line per step, through the ranks of its run", async () => {
    const figure = rankDuringFigure(small)
    const svg = await draw(figure)
    const lines = marks(svg, "steps_marks")
    expect(lines).toHaveLength(6 * 14)
    const rows = rowsOf(figure)
    expect(rows).toHaveLength(6 * 14 * 3)
    const lowest = Math.floor(Math.min(...rows.map((row) => number(row.normalised_erank))) * 10) / 10
    const [, height] = panelSize(svg)
    for (const [i, line] of lines.entries()) {
      const expected = rows.slice(3 * i, 3 * i + 3).map((row) => number(row.normalised_erank))
      expectPixels(
        outline(line[0]!).map(([, y]) => y),
        expected.map((value) => (height * (1 - value)) / (1 - lowest)),
      )
    }
  })

  test("whether a run failed is taken from its record, and unknown without one", () => {
    const rows = rowsOf(rankDuringFigure(small))
    const failed = outcomeLookup(small.runs)
    for (const { arm, lr, seed, run_failed } of rows) {
      expect(run_failed).toBe(
        failed({ arm: String(arm), checkpoint: null, lr: number(lr), seed: number(seed) }),
      )
    }
    expect(new Set(rows.map((row) => row.run_failed))).toEqual(new Set([true, false]))
    const unrecorded = rowsOf(rankDuringFigure({ ...small, runs: [] }))
    expect(unrecorded.every((row) => row.run_failed === null)).toBe(true)
    const { caption } = rankDuringFigure({ ...small, runs: [] })
    expect(caption.join(" ")).toContain("The outcome of 6 shown runs is unknown.")
  })
})
