import { power } from "../../../core/tensor/elementary.ts"
import type { Figure } from "../shared/figure.ts"
import { rounded } from "../shared/records.ts"
import { CONFIG, DASHES, INK, SEQUENTIAL } from "../shared/style.ts"
import { bestOf, type MapCell } from "./cells.ts"
import type { Options } from "./options.ts"

/** Pixels of a panel's width and height, and the area of a cell's mark. */
const WIDTH = 300
const HEIGHT = 260
const AREA = 900

/** The map of the cells, with the scaling laws; without any value, its caption says why. */
export const scalingFigure = (options: Options, cells: readonly MapCell[], metric: string | null): Figure => {
  const shown = cells.filter((cell) => cell.mean !== null)
  const value = options.column ?? metric ?? "metric"
  return {
    name: "scaling-map",
    title: options.title,
    caption: captionOf(options, value, shown),
    data: {
      columns: [options.facet ?? "panel", options.x, options.y, "mean", "n", "failures", "ended"],
      rows: cells.map((cell) => [
        cell.facet,
        cell.x,
        cell.y,
        rounded(cell.mean),
        cell.n,
        cell.failures,
        cell.ended,
      ]),
    },
    spec: shown.length === 0 ? null : specification(options, value, shown),
  }
}

const captionOf = (options: Options, value: string, shown: readonly MapCell[]): readonly string[] => {
  if (shown.length === 0) return ["No run has finished, so there is nothing to draw."]
  const sizes = shown.map(({ n }) => n)
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)]
  const laws = Object.entries(options.laws).map(([name, exponent]) => `${name} (exponent ${exponent})`)
  return [
    `Colour: mean ${value} of ${least === most ? least : `${least} to ${most}`} runs, by ${options.x} and ${options.y}, both on logarithmic axes.`,
    `Rings: the highest mean for each ${options.x}.`,
    ...(laws.length === 0
      ? []
      : [
          `Lines through the ring of the least ${options.x}: ${options.y} in proportion to a power of ${options.x}, ${laws.join(", ")}.`,
        ]),
  ]
}

/** Points of the laws within the range of y. */
const lawsOf = ({ laws }: Options, shown: readonly MapCell[], best: readonly MapCell[]) => {
  const xs = [...new Set(shown.map(({ x }) => x))].sort((a, b) => a - b)
  const ys = shown.map(({ y }) => y)
  const [lowest, highest] = [Math.min(...ys), Math.max(...ys)]
  return [...Map.groupBy(best, ({ facet }) => facet)].flatMap(([facet, ofFacet]) => {
    const from = ofFacet.reduce((least, cell) => (cell.x < least.x ? cell : least))
    return Object.entries(laws).flatMap(([law, exponent]) =>
      xs
        .filter((x) => x >= from.x)
        .map((x) => ({ facet: facet ?? "", law, x, y: from.y * power(x / from.x, exponent) }))
        .filter(({ y }) => y >= lowest / 1.5 && y <= highest * 1.5),
    )
  })
}

const specification = (options: Options, value: string, shown: readonly MapCell[]): Figure["spec"] => {
  const best = bestOf(shown)
  const isBest = new Set(best)
  const laws = Object.keys(options.laws)
  const axis = (field: "x" | "y", title: string) => ({
    field,
    type: "quantitative" as const,
    scale: { type: "log" as const, nice: false, padding: 22 },
    axis: {
      title,
      values: [...new Set(shown.map((cell) => cell[field]))].sort((a, b) => a - b),
      format: field === "y" ? "~e" : "~g",
      grid: false,
    },
  })
  const [x, y] = [axis("x", options.x), axis("y", options.y)]
  const points = shown.map((cell) => ({
    facet: cell.facet ?? "",
    x: cell.x,
    y: cell.y,
    mean: rounded(cell.mean),
    best: isBest.has(cell),
  }))
  const layer = [
    {
      mark: { type: "square" as const, size: AREA, opacity: 1 },
      transform: [{ filter: "isValid(datum.mean)" }],
      encoding: {
        x,
        y,
        color: {
          field: "mean",
          type: "quantitative" as const,
          scale: { scheme: SEQUENTIAL },
          legend: { title: `mean ${value}` },
        },
      },
    },
    {
      mark: { type: "point" as const, shape: "circle", size: AREA / 2, stroke: "#ffffff", strokeWidth: 2.5 },
      transform: [{ filter: "datum.best === true" }],
      encoding: { x, y },
    },
    {
      mark: { type: "line" as const, color: INK, strokeWidth: 2 },
      transform: [{ filter: "isValid(datum.law)" }],
      encoding: {
        x,
        y,
        strokeDash: {
          field: "law",
          type: "nominal" as const,
          scale: { domain: laws, range: laws.map((_, i) => DASHES[(i + 1) % DASHES.length]!) },
          legend: { title: "scaling", symbolStrokeColor: INK },
        },
      },
    },
  ]
  const values = [...points, ...lawsOf(options, shown, best)]
  const schema = "https://vega.github.io/schema/vega-lite/v6.json"
  const facets = [...new Set(points.map(({ facet }) => facet))]
  return options.facet === undefined
    ? { $schema: schema, config: CONFIG, width: WIDTH, height: HEIGHT, data: { values }, layer }
    : {
        $schema: schema,
        config: CONFIG,
        data: { values },
        facet: { field: "facet", type: "nominal", sort: facets, header: { title: options.facet } },
        columns: Math.min(3, facets.length),
        spec: { width: WIDTH, height: HEIGHT, layer },
      }
}
