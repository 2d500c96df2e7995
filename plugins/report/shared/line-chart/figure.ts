import type { TopLevelSpec } from "vega-lite"
import { plural } from "../../../../core/io/format.ts"
import type { Figure } from "../figure.ts"
import type { Records } from "../records.ts"
import { armScales, COLOURS, CONFIG, DASHES, INK, SEQUENTIAL } from "../style.ts"
import { type Chosen, type Point, textOf } from "./choose.ts"
import { isOfCheckpoints, type Line, linesOf, ordered } from "./line.ts"
import type { Options } from "./options.ts"

/** The chart of the chosen points; without any, its caption says why. */
export const lineFigure = (options: Options, chosen: Chosen): Figure => {
  const lines = linesOf(chosen.points, options)
  return {
    name: "line-chart",
    title: options.title,
    caption: caption(options, chosen, lines),
    data: records(options, lines),
    spec: lines.length === 0 ? null : specification(options, lines),
  }
}

const records = ({ lines: shown }: Options, lines: readonly Line[]): Records =>
  shown === "mean"
    ? {
        columns: ["facet", "colour", "x", "y", "lower", "upper", "n"],
        rows: lines.flatMap(({ facet, colour, vertices }) =>
          vertices.map(({ x, y, lower, upper, n }) => [facet, colour, x, y, lower, upper, n]),
        ),
      }
    : {
        columns: ["facet", "colour", "cohort", "seed", "x", "y"],
        rows: lines.flatMap(({ facet, colour, run, vertices }) =>
          vertices.map(({ x, y }) => [facet, colour, run!.cohort, run!.seed, x, y]),
        ),
      }

// --- caption -----------------------------------------------------------------------------------------------

const caption = (options: Options, { points, runs, missing, leftOut }: Chosen, lines: readonly Line[]) => {
  const { x, y, colour, facet, where } = options
  const count = (status: string) => missing.filter((each) => each.status === status).length
  const absent = [
    ...counted(count("diverged"), "run", "diverged"),
    ...counted(count("failed"), "run", "failed"),
    ...counted(count("empty"), "run", "finished without rows"),
  ]
  const without = absent.length === 0 ? [] : [`Not drawn: ${absent.join(", ")}.`]
  if (points.length === 0) return ["No run has finished, so there is nothing to draw.", ...without]
  const wanted = Object.entries(where).map(
    ([name, values]) => `${name} ${(Array.isArray(values) ? values : [values]).map(textOf).join(" or ")}`,
  )
  return [
    `${y} against ${x}${wanted.length === 0 ? "" : `, for ${wanted.join(", ")}`}.`,
    ...(options.lines === "mean"
      ? meanSentences(options, lines, isOfCheckpoints(points))
      : [`Lines: single runs, ${runs} in all${joins(x, points[0]!)}.`]),
    ...(colour === undefined ? [] : [`Colour: ${colour}.`]),
    ...(facet === undefined
      ? []
      : [`Panels: ${facet}${options.yAxis === "own" ? "; each has its own vertical axis" : ""}.`]),
    ...(options.xScale === "log" ? ["The horizontal axis is logarithmic."] : []),
    ...(options.yScale === "log" ? ["The vertical axis is logarithmic."] : []),
    ...without,
    ...(leftOut.size === 0
      ? []
      : [`Left out: ${[...leftOut].map(([why, rows]) => `${plural(rows, "row")} ${why}`).join(", ")}.`]),
  ]
}

const counted = (count: number, noun: string, what: string) =>
  count === 0 ? [] : [`${plural(count, noun)} that ${what}`]

const meanSentences = (
  options: Options,
  lines: readonly Line[],
  ofCheckpoints: boolean,
): readonly string[] => {
  const vertices = lines.flatMap((line) => line.vertices)
  const sizes = [...new Set(vertices.map(({ n }) => n))]
  const least = Math.min(...sizes)
  const most = Math.max(...sizes)
  const [means, intervals] = areApart(options, lines) ? ["Points", "bars"] : ["Lines", "bands"]
  if (most === 1) return [`${means}: one run per point, so there is no interval.`]
  const bare = vertices.filter(({ lower }) => lower === null).length
  const cut =
    options.yScale === "log" ? vertices.filter(({ lower }) => lower !== null && lower <= 0).length : 0
  return [
    `${means}: mean over ${ofCheckpoints ? "checkpoints and seeds" : "seeds"}, ${least === most ? plural(least, "run") : `${least} to ${most} runs`} per point; ${intervals}: 95 % interval of the mean (${ofCheckpoints ? "both random where an arm has several checkpoints" : "Student's t"}).`,
    ...(bare === 0 ? [] : [`No interval at ${plural(bare, "point")}: one run, or all runs equal.`]),
    ...(cut === 0
      ? []
      : [
          `At ${plural(cut, "point")} the interval reaches 0 or below, which a logarithmic axis cannot show: its band ends at the lowest value drawn.`,
        ]),
  ]
}

/** Whether means stand apart: between texts, such as arms, a line would show a course where there is none. */
const areApart = (options: Options, lines: readonly Line[]): boolean =>
  options.lines === "mean" && lines.some(({ vertices }) => vertices.some(({ x }) => typeof x === "string"))

/** What a line goes through, if it is more than one run. */
const joins = (x: string, { cohort }: Point): string => {
  if (x === "seed") return "; each line joins those of a cohort"
  return Object.hasOwn(cohort, x) ? "; each line joins those of a seed" : ""
}

// --- drawing -----------------------------------------------------------------------------------------------

/** More numbers than this have a continuous legend. */
const MOST_NUMBERS = 12
/** With more vertices than this a line has no points. */
const MOST_DOTS = 30
/** Pixels between the axes and the outermost points. */
const EDGE = 8
const SIZES = { 1: [640, 340], 2: [340, 240], 3: [220, 170] } as const

const specification = (options: Options, lines: readonly Line[]): TopLevelSpec => {
  const vertices = lines.flatMap((line) => line.vertices)
  const isLog = options.yScale === "log"
  const colour = colourOf(options, lines)
  const lowest = new Map(
    [...Map.groupBy(lines, ({ facet }) => (options.yAxis === "own" ? facet : null))].map(
      ([facet, sharing]) => [facet, lowestAbove0(sharing)] as const,
    ),
  )
  const apart = areApart(options, lines)
  const points = lines.flatMap((line, index) => {
    return line.vertices.map(({ x, y, lower, upper }, i) => {
      const banded =
        !apart && [line.vertices[i - 1], line.vertices[i + 1]].some((next) => (next?.lower ?? null) !== null)
      return {
        line: index,
        ...(line.facet === null ? {} : { facet: textOf(line.facet) }),
        ...(line.colour === null ? {} : { colour: colour.isContinuous ? line.colour : textOf(line.colour) }),
        x: typeof x === "number" ? x : textOf(x),
        y,
        lower:
          isLog && lower !== null && lower <= 0
            ? lowest.get(options.yAxis === "own" ? line.facet : null)!
            : lower,
        upper,
        alone: lower !== null && !banded,
      }
    })
  })
  const facets = options.facet === undefined ? null : ordered(lines.map(({ facet }) => facet!)).map(textOf)
  const columns = facets === null ? 1 : columnsFor(facets)
  const [width, height] = SIZES[columns]
  const x = xAxis(options, lines, width)
  const y = {
    type: "quantitative" as const,
    scale: isLog ? { type: "log" as const, nice: false, padding: EDGE } : { zero: false },
    axis: { title: options.yTitle ?? options.y, ...numberFormat(vertices.map((vertex) => vertex.y)) },
  }
  const detail = { field: "line", type: "nominal" as const }
  const single = options.lines === "runs"
  const dots = apart || Math.max(...lines.map((line) => line.vertices.length)) <= MOST_DOTS
  const bounds = { x, y: { ...y, field: "lower" }, y2: { field: "upper" }, detail, ...colour.fill }
  const layer = [
    ...(vertices.every(({ lower }) => lower === null)
      ? []
      : [
          {
            name: "bands",
            transform: [{ filter: "isValid(datum.lower)" }],
            mark: { type: "area" as const, opacity: 0.18 },
            encoding: bounds,
          },
          {
            // A band needs two adjacent points with intervals; an interval without a neighbour becomes a bar.
            name: "bars",
            transform: [{ filter: "datum.alone" }],
            mark: { type: "rule" as const, strokeWidth: 6, opacity: 0.18 },
            encoding: bounds,
          },
        ]),
    ...(apart && !("strokeDash" in colour.dash)
      ? []
      : [
          {
            name: "lines",
            mark: { type: "line" as const, strokeWidth: single ? 1.2 : 2, opacity: single ? 0.75 : 1 },
            encoding: { x, y: { ...y, field: "y" }, detail, ...colour.fill, ...colour.dash },
          },
        ]),
    ...(dots
      ? [
          {
            name: "points",
            mark: { type: "point" as const, filled: true, size: single ? 14 : 32, opacity: 1 },
            encoding: { x, y: { ...y, field: "y" }, detail, ...colour.fill },
          },
        ]
      : []),
  ]
  const schema = "https://vega.github.io/schema/vega-lite/v6.json"
  const data = { values: points }
  if (options.facet === undefined || facets === null) {
    return { $schema: schema, width, height, config: CONFIG, data, layer }
  }
  return {
    $schema: schema,
    config: CONFIG,
    data,
    facet: {
      field: "facet",
      type: "nominal",
      sort: facets,
      header: { title: options.facet, titleAnchor: "start", labelLimit: width, labelPadding: 4 },
    },
    columns,
    spec: { width, height, layer },
    // Every panel has its axes: the last row may be short of panels.
    resolve: {
      axis: { x: "independent", y: "independent" },
      ...(options.yAxis === "own" ? { scale: { y: "independent" } } : {}),
    },
  }
}

const lowestAbove0 = (lines: readonly Line[]): number => {
  let lowest = Number.POSITIVE_INFINITY
  for (const { vertices } of lines) {
    for (const { y, lower } of vertices) {
      lowest = Math.min(lowest, lower !== null && lower > 0 ? lower : y)
    }
  }
  return lowest
}

const xAxis = ({ x, xTitle, xScale }: Options, lines: readonly Line[], width: number) => {
  const values = ordered(lines.flatMap(({ vertices }) => vertices.map((vertex) => vertex.x)))
  const title = xTitle ?? x
  if (!values.every((value) => typeof value === "number")) {
    const texts = values.map(textOf)
    const labels =
      CHARACTER * longestOf(texts) * texts.length <= width
        ? { labelAngle: 0 }
        : { labelAngle: -40, labelAlign: "right" as const, labelLimit: 300 }
    return { field: "x", type: "ordinal" as const, sort: texts, axis: { title, grid: false, ...labels } }
  }
  return {
    field: "x",
    type: "quantitative" as const,
    scale: { nice: false, padding: EDGE, ...(xScale === "log" ? { type: "log" as const } : { zero: false }) },
    axis: {
      title,
      grid: false,
      ...numberFormat(values),
      ...(values.length === 1 ? { values: [...values], format: "~g" } : {}),
      ...(xScale === "log" ? {} : { tickCount: Math.round(width / 60) }),
      ...(values.every(Number.isInteger) ? { tickMinStep: 1 } : {}),
    },
  }
}

/** Small numbers, such as learning rates, as 2e-5. */
const numberFormat = (values: readonly number[]) =>
  values.every((value) => Math.abs(value) < 1e-2) && values.some((value) => value !== 0)
    ? { format: "~e" }
    : {}

/** How colour and, where there are more texts than colours, dashes tell lines apart. */
const colourOf = ({ colour: title }: Options, lines: readonly Line[]) => {
  if (title === undefined) return { isContinuous: false, fill: { color: { value: INK } }, dash: {} }
  const values = ordered(lines.map(({ colour }) => colour!))
  const top = { title, orient: "top" as const }
  if (typeof values[0] === "number" && values.length > MOST_NUMBERS) {
    const scale = { scheme: SEQUENTIAL }
    const color = { field: "colour", type: "quantitative" as const, scale, legend: top }
    return { isContinuous: true, fill: { color }, dash: {} }
  }
  const domain = values.map(textOf)
  const legend = {
    ...top,
    columns: Math.min(domain.length, Math.max(1, Math.floor(100 / (longestOf(domain) + 6)))),
    labelLimit: 600,
    symbolType: "stroke",
    symbolStrokeWidth: 3,
    symbolOpacity: 1,
  }
  const isNumber = typeof values[0] === "number"
  const scale = isNumber ? { domain, scheme: SEQUENTIAL } : armScales(domain).colour
  const color = {
    field: "colour",
    type: isNumber ? ("ordinal" as const) : ("nominal" as const),
    scale,
    legend,
  }
  const range = domain.map((_, i) => DASHES[Math.floor(i / COLOURS.length) % DASHES.length]!)
  const strokeDash = { field: "colour", type: "nominal" as const, scale: { domain, range }, legend }
  return {
    isContinuous: false,
    fill: { color },
    dash: isNumber || domain.length <= COLOURS.length ? {} : { strokeDash },
  }
}

const longestOf = (texts: readonly string[]): number => Math.max(...texts.map((text) => text.length))

/** Pixels, on average, in the figures' font. */
const CHARACTER = 7

/** As many columns as leave room for their texts. */
const columnsFor = (facets: readonly string[]): 1 | 2 | 3 => {
  const longest = CHARACTER * longestOf(facets)
  const wanted = facets.length === 4 ? 2 : Math.min(3, facets.length)
  if (wanted === 3 && longest <= SIZES[3][0]) return 3
  return wanted >= 2 && longest <= SIZES[2][0] ? 2 : 1
}
