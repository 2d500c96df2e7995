import { describeLabels } from "../../../../core/api/pipeline.ts"
import type { Labels } from "../../../../core/api/plugin.ts"
import { rounded } from "../records.ts"
import { cellMean } from "../statistics/cells.ts"
import { meanInterval } from "../statistics/interval.ts"
import { mean } from "../statistics/moments.ts"
import type { Point, Value } from "./choose.ts"

/** A vertex of a line. */
export interface Vertex {
  readonly x: Value
  readonly y: number
  /** the 95 % interval of the mean; null if there is none */
  readonly lower: number | null
  readonly upper: number | null
  /** how many runs it is the mean of */
  readonly n: number
}

export interface Line {
  readonly facet: Value | null
  readonly colour: Value | null
  /** The run that it shows: its cohort's labels and its seed; null for a mean over seeds. */
  readonly run: { readonly cohort: string; readonly seed: number | null } | null
  readonly vertices: readonly Vertex[]
}

/** Numbers ascending, false before true, texts in the order in which they appear. */
export const ordered = (values: readonly Value[]): readonly Value[] => {
  const different = [...new Set(values)]
  return typeof different[0] === "string" ? different : different.sort((a, b) => Number(a) - Number(b))
}

/** Lines by panel, then by colour, then by run; their vertices in the order of x. */
export const linesOf = (
  points: readonly Point[],
  { lines, x }: { readonly lines: "mean" | "runs"; readonly x: string },
): readonly Line[] => {
  const order = orderOf(points.map((point) => point.x))
  const runOf = ({ cohort, seed }: Point) => {
    // What the axis shows changes along a line, so it does not tell lines apart.
    const labels = Object.fromEntries(Object.entries(cohort).filter(([name]) => name !== x))
    return { cohort: describeLabels(labels), seed: x === "seed" ? null : seed }
  }
  const groups = Map.groupBy(points, (point) =>
    JSON.stringify([point.facet, point.colour, lines === "mean" ? null : runOf(point)]),
  )
  const byFacet = orderOf(points.map(({ facet }) => facet))
  const byColour = orderOf(points.map(({ colour }) => colour))
  return [...groups.values()]
    .map((group): Line => {
      const first = group[0]!
      const vertices = [...Map.groupBy(group, (point) => point.x)]
        .map(([at, there]) => vertexOf(at, there))
        .sort((a, b) => order(a.x) - order(b.x))
      return {
        facet: first.facet,
        colour: first.colour,
        run: lines === "mean" ? null : runOf(first),
        vertices,
      }
    })
    .sort((a, b) => byFacet(a.facet) - byFacet(b.facet) || byColour(a.colour) - byColour(b.colour))
}

const vertexOf = (x: Value, points: readonly Point[]): Vertex => {
  const values = points.map(({ y }) => y)
  const interval = isOfCheckpoints(points)
    ? cellMean(points.map(({ cohort, seed, y }) => ({ checkpoint: checkpointOf(cohort), seed, value: y })))
        .interval
    : meanInterval(values)
  const [lower, upper] = interval.kind === "interval" ? [interval.low, interval.high] : [null, null]
  return { x, y: rounded(mean(values))!, lower: rounded(lower), upper: rounded(upper), n: values.length }
}

/** The seed of the further training of the model that a run starts from, if cohorts are labelled with it. */
const checkpointOf = ({ checkpoint }: Labels): number | null =>
  typeof checkpoint === "number" ? checkpoint : null

/** Whether runs start from several checkpoints, so that both these and the seeds of runs are random. */
export const isOfCheckpoints = (points: readonly Point[]): boolean =>
  new Set(points.flatMap(({ cohort }) => checkpointOf(cohort) ?? [])).size > 1

/** The position of each value in the order of all of them. */
const orderOf = (values: readonly (Value | null)[]) => {
  const positions = new Map(
    ordered(values.filter((value) => value !== null)).map((value, i) => [value, i] as const),
  )
  return (value: Value | null) => (value === null ? 0 : positions.get(value)!)
}
