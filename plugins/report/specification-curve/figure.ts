import { shortNumber } from "../../../core/io/format.ts"
import type { Figure } from "../shared/figure.ts"
import { rounded } from "../shared/records.ts"
import { CONFIG, INK } from "../shared/style.ts"
import type { Curve, Specification } from "./specifications.ts"

const WIDTH = 640
const CURVE_HEIGHT = 190
const ROW = 15

/** Distinguishable with any colour vision; shapes tell verdicts apart as well. */
const VERDICTS = {
  holds: { colour: "#009E73", shape: "circle" },
  "does not hold": { colour: "#D55E00", shape: "square" },
  "cannot be told": { colour: "#8c8c8c", shape: "diamond" },
} as const

export const valueText = (value: string | number): string =>
  typeof value === "number" ? shortNumber(value) : value

export const specificationText = (specification: Specification): string =>
  Object.entries(specification)
    .map(([name, value]) => `${name} ${valueText(value)}`)
    .join(", ")

/** How many characters fit beside the curve. */
const longestTitleLine = 30

/** A title in lines that fit beside the curve: the chart would grow with a longer one. */
const titleLines = (title: string): string[] => {
  const lines: string[] = []
  for (const word of title.split(" ")) {
    const line = lines.at(-1)
    if (line === undefined || line.length + 1 + word.length > longestTitleLine) lines.push(word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines
}

/** The effects of a claim in ascending order with their intervals, and below them what each specification chose. */
export const curveFigure = (curve: Curve, index: number): Figure => {
  const { statement, settings, specified } = curve
  const drawn = specified.filter(({ judged: { effect } }) => effect !== null)
  const { name: effect, unit } = drawn[0]?.judged.effect ?? { name: "effect", unit: "" }
  const figure = {
    name: `specification-curve-${index + 1}`,
    title: statement,
    data: {
      columns: ["order", "presumed", ...settings, "effect", "low", "high", "p", "verdict", "seeds"],
      rows: specified.map(({ specification, isPresumed, judged }, order) => [
        order + 1,
        isPresumed,
        ...settings.map((setting) => specification[setting]!),
        rounded(judged.effect?.value ?? null),
        rounded(judged.interval?.low ?? null),
        rounded(judged.interval?.high ?? null),
        rounded(judged.test?.p ?? null),
        judged.verdict,
        judged.seeds,
      ]),
    },
  }
  if (drawn.length === 0) {
    return { ...figure, caption: ["No specification has an effect to draw."], spec: null }
  }
  return {
    ...figure,
    caption: [
      `The ${effect} in ${drawn.length} of ${specified.length} specifications, in ascending order, with its 95 % interval by itself; colour and shape: verdict.`,
      "Ring: the specification presumed. Below: the value of each setting in each specification.",
    ],
    spec: specificationOf(curve, `${effect}${unit === "" ? "" : ` (${unit})`}`),
  }
}

const specificationOf = ({ settings, specified }: Curve, effect: string): Figure["spec"] => {
  const drawn = specified.filter(({ judged }) => judged.effect !== null)
  const effects = drawn.map(({ isPresumed, judged }, i) => ({
    order: i + 1,
    effect: rounded(judged.effect!.value),
    low: rounded(judged.interval?.low ?? null),
    high: rounded(judged.interval?.high ?? null),
    verdict: judged.verdict,
    presumed: isPresumed,
  }))
  const rows = settings.flatMap((setting) =>
    [...new Set(specified.map(({ specification }) => specification[setting]!))].map(
      (value) => `${setting} ${valueText(value)}`,
    ),
  )
  const chosen = drawn.flatMap(({ specification, judged }, i) =>
    settings.map((setting) => ({
      order: i + 1,
      choice: `${setting} ${valueText(specification[setting]!)}`,
      verdict: judged.verdict,
    })),
  )
  const neutral = drawn[0]!.judged.effect!.neutral ?? 0
  const scale = { domain: [0.5, drawn.length + 0.5], nice: false }
  const order = { field: "order", type: "quantitative" as const, scale, axis: null }
  const verdicts = Object.keys(VERDICTS)
  const color = {
    field: "verdict",
    type: "nominal" as const,
    scale: { domain: verdicts, range: Object.values(VERDICTS).map(({ colour }) => colour) },
    legend: { title: null, orient: "top" as const },
  }
  const shape = {
    field: "verdict",
    type: "nominal" as const,
    scale: { domain: verdicts, range: Object.values(VERDICTS).map(({ shape }) => shape) },
    legend: { title: null, orient: "top" as const },
  }
  const y = { type: "quantitative" as const, scale: { zero: false }, axis: { title: titleLines(effect) } }
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    config: CONFIG,
    spacing: 8,
    vconcat: [
      {
        width: WIDTH,
        height: CURVE_HEIGHT,
        data: { values: effects },
        layer: [
          {
            mark: { type: "rule", color: INK, opacity: 0.5 },
            encoding: { y: { datum: neutral, type: "quantitative" } },
          },
          {
            mark: { type: "rule", strokeWidth: 1.5, opacity: 0.6 },
            transform: [{ filter: "isValid(datum.low)" }],
            encoding: { x: order, y: { ...y, field: "low" }, y2: { field: "high" }, color },
          },
          {
            mark: { type: "point", size: 220, color: INK, strokeWidth: 1.5 },
            transform: [{ filter: "datum.presumed" }],
            encoding: { x: order, y: { ...y, field: "effect" } },
          },
          {
            mark: { type: "point", filled: true, size: 50, opacity: 1 },
            encoding: { x: order, y: { ...y, field: "effect" }, color, shape },
          },
        ],
      },
      ...(rows.length === 0
        ? []
        : [
            {
              width: WIDTH,
              height: ROW * rows.length,
              data: { values: chosen },
              mark: { type: "square" as const, size: 40, opacity: 1 },
              encoding: {
                x: order,
                y: {
                  field: "choice",
                  type: "nominal" as const,
                  sort: rows,
                  axis: { title: null, grid: true },
                },
                color,
              },
            },
          ]),
    ],
  }
}
