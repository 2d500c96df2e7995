import type { TopLevelSpec } from "vega-lite"
import { type Field, rounded } from "../../shared/records.ts"
import type { CellMean } from "../../shared/statistics/cells.ts"
import { armScales, CONFIG, INK } from "../../shared/style.ts"
import { ends } from "../format.ts"

/** A vertex of an arm's line, with its interval. */
export interface BandPoint {
  readonly arm: string
  readonly x: number
  readonly mean: number
  readonly low: number | null
  readonly high: number | null
  /** whether it has an interval and neither neighbour has: a band needs two */
  readonly alone: boolean
}

/**
 * The vertices of all lines. Records of one arm are adjacent and in the order of the line.
 *
 * @param of a record's position and mean; null where it has none
 */
export const bandPoints = <T extends { readonly arm: string }>(
  records: readonly T[],
  of: (record: T) => { readonly x: number; readonly of: CellMean | null },
): readonly BandPoint[] => {
  const points = records.flatMap((record) => {
    const { x, of: cells } = of(record)
    if (cells === null || cells.mean === null) return []
    const [low, high] = ends(cells.interval)
    return [{ arm: record.arm, x, mean: cells.mean, low, high }]
  })
  return points.map((point, i) => ({
    ...point,
    alone:
      point.low !== null &&
      ![points[i - 1], points[i + 1]].some((next) => next?.arm === point.arm && next.low !== null),
  }))
}

/** A mean and the ends of its interval, as three fields. */
export const meanFields = (of: CellMean | null): readonly Field[] =>
  of === null ? [null, null, null] : [of.mean, ...ends(of.interval)].map(rounded)

/** A line of a single checkpoint. */
export interface ThinPoint {
  readonly arm: string
  readonly checkpoint: number | null
  readonly x: number
  readonly mean: number
}

interface BandFigure {
  /** of the study: the first is the baseline of the differences */
  readonly arms: readonly string[]
  /** the axes, for the fields `x` and `mean`; `y` without its field */
  readonly x: object
  readonly y: object
  readonly height: number
  readonly points: readonly BandPoint[]
  readonly thin: readonly ThinPoint[]
  /** drawn below, if there are any */
  readonly differences: readonly BandPoint[]
}

/** Lines of means with bands, and below them the differences from the baseline in the same way. */
export const bandSpec = ({ arms, x, y, height, points, thin, differences }: BandFigure): TopLevelSpec => {
  const scales = armScales(arms)
  const drawn = [...new Set(points.map(({ arm }) => arm))]
  const legend = { title: null, values: drawn, symbolOpacity: 1, symbolSize: 80 }
  const colour = { field: "arm", type: "nominal" as const, scale: scales.colour, legend }
  const shape = { field: "arm", type: "nominal" as const, scale: scales.shape, legend }
  const bands = (prefix: string, y: object) => {
    const interval = { x, y: { field: "low", ...y }, y2: { field: "high" }, color: colour }
    const mean = { x, y: { field: "mean", ...y }, color: colour }
    return [
      { name: `${prefix}bands`, mark: { type: "area" as const, opacity: 0.18 }, encoding: interval },
      {
        name: `${prefix}bars`,
        transform: [{ filter: "datum.alone" }],
        mark: { type: "rule" as const, strokeWidth: 6, opacity: 0.18 },
        encoding: interval,
      },
      { mark: { type: "line" as const, strokeWidth: 2 }, encoding: mean },
      {
        name: `${prefix}means`,
        mark: { type: "point" as const, filled: true, size: 40, opacity: 1 },
        encoding: { ...mean, shape },
      },
    ]
  }
  const thinLines = {
    name: "checkpoints",
    data: { values: thin },
    mark: { type: "line" as const, strokeWidth: 0.8, opacity: 0.7 },
    encoding: { x, y: { field: "mean", ...y }, color: colour, detail: { field: "checkpoint" } },
  }
  const main = {
    width: 640,
    height,
    data: { values: points },
    layer: [...bands("", y), ...(thin.length === 0 ? [] : [thinLines])],
  }
  const whole = { $schema: "https://vega.github.io/schema/vega-lite/v6.json" as const, config: CONFIG }
  if (differences.length === 0) return { ...whole, ...main } as TopLevelSpec
  const difference = { type: "quantitative" as const, axis: { title: `difference from ${arms[0]}` } }
  const zero = { mark: { type: "rule" as const, color: INK, opacity: 0.6 }, encoding: { y: { datum: 0 } } }
  return {
    ...whole,
    vconcat: [
      main,
      {
        width: 640,
        height: 200,
        data: { values: differences },
        layer: [zero, ...bands("differences_", difference)],
      },
    ],
  } as TopLevelSpec
}
