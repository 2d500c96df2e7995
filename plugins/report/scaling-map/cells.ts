/** What a scaling map shows: a value for each combination of two labels, by panel. */
import type { CohortTaken, Labels } from "../../../core/api/plugin.ts"
import type { Row } from "../../../core/artifacts/observations.ts"
import { isFailure, type RunTaken, scoreOf } from "../../../core/artifacts/run.ts"
import { mean } from "../shared/statistics/moments.ts"
import type { Options } from "./options.ts"

export interface MapCell {
  /** null if the map has one panel */
  readonly facet: string | null
  readonly x: number
  readonly y: number
  /** over runs, of the metric in hundredths or of the observed column; null without any */
  readonly mean: number | null
  /** how many runs it is the mean of */
  readonly n: number
  /** runs no better than the baseline, diverged ones included */
  readonly failures: number
  /** runs that ended, with a value or by diverging */
  readonly ended: number
}

interface Place {
  readonly facet: string | null
  readonly x: number
  readonly y: number
}

const placeOf = ({ x, y, facet }: Options, labels: Labels): Place => ({
  facet: facet === undefined ? null : `${labels[facet]}`,
  x: Number(labels[x]),
  y: Number(labels[y]),
})

/** The map's cells by panel in the order of the cohorts, then by x and y; and the metric, if runs are shown. */
export const cellsOf = (
  options: Options,
  runs: readonly CohortTaken<RunTaken>[],
  observations: readonly CohortTaken<readonly Row[]>[],
): { readonly cells: readonly MapCell[]; readonly metric: string | null } => {
  const scores = new Map<string, number[]>()
  const places = new Map<string, Place>()
  const failures = new Map<string, { failed: number; ended: number }>()
  const metrics = new Set<string>()
  const at = (labels: Labels): string => {
    const place = placeOf(options, labels)
    const key = JSON.stringify(place)
    if (!places.has(key)) {
      places.set(key, place)
      scores.set(key, [])
      failures.set(key, { failed: 0, ended: 0 })
    }
    return key
  }
  for (const { labels, members } of runs) {
    const key = at(labels)
    for (const { outcome } of members) {
      const counts = failures.get(key)!
      if (outcome.status === "done") {
        const [score] = scoreOf(outcome.value)
        metrics.add(score!.metric)
        if (options.column === undefined) {
          scores.get(key)!.push((100 * score!.value.numerator) / score!.value.denominator)
        }
        if (isFailure([score!])) counts.failed++
      }
      if (outcome.status === "diverged") counts.failed++
      if (outcome.status !== "failed") counts.ended++
    }
  }
  for (const { labels, members } of observations) {
    if (options.column === undefined) break
    const key = at(labels)
    for (const { outcome } of members) {
      if (outcome.status !== "done") continue
      const values = chosen(options.where, outcome.value).map((row) => row[options.column!])
      // One value a run, so that runs with more rows do not count more.
      const numbers = values.filter((value): value is number => typeof value === "number")
      if (numbers.length > 0) scores.get(key)!.push(mean(numbers))
    }
  }
  const facets = [...new Set([...places.values()].map(({ facet }) => facet))]
  const cells = [...places]
    .map(([key, place]) => {
      const values = scores.get(key)!
      const { failed, ended } = failures.get(key)!
      return {
        ...place,
        mean: values.length === 0 ? null : mean(values),
        n: values.length,
        failures: failed,
        ended,
      }
    })
    .sort((a, b) => facets.indexOf(a.facet) - facets.indexOf(b.facet) || a.x - b.x || a.y - b.y)
  return { cells, metric: [...metrics][0] ?? null }
}

/** The rows asked for; `step` may be that of the run's first or last row. */
const chosen = (where: Options["where"], rows: readonly Row[]): readonly Row[] => {
  const steps = rows.flatMap(({ step }) => (typeof step === "number" ? [step] : []))
  const wanted =
    where["step"] === "last"
      ? { ...where, step: Math.max(...steps) }
      : where["step"] === "first"
        ? { ...where, step: Math.min(...steps) }
        : where
  return rows.filter((row) => Object.entries(wanted).every(([name, value]) => row[name] === value))
}

/** The best cell of each x of a panel: that of the highest mean, the lower y in a tie. */
export const bestOf = (cells: readonly MapCell[]): readonly MapCell[] =>
  [...Map.groupBy(cells, ({ facet, x }) => JSON.stringify([facet, x])).values()].flatMap((column) => {
    const shown = column.filter((cell) => cell.mean !== null)
    return shown.length === 0 ? [] : [shown.reduce((best, cell) => (cell.mean! > best.mean! ? cell : best))]
  })
