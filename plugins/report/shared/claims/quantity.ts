import { type } from "arktype"
import type { Labels } from "../../../../core/api/plugin.ts"
import type { Cell } from "../../../../core/artifacts/observations.ts"
import type { Design, Evidence } from "./claim.ts"
import { cellOf, matches, unknownNames, Where } from "./evidence.ts"
import { type Value, whereText } from "./paired.ts"

/** Which numbers of a run's observations. */
export const Quantity = type({
  /** A column of numbers of any probe. */
  column: "string > 0",
  /**
   * Labels and cells that must be equal: `{ step: 0 }`. `step: "last"` is the end of a run, `step: "warmup"` the end of
   * its warm-up, and `step: "change"` what its end has more than its start.
   */
  where: Where.default(() => ({})),
  /** A column or a label, such as `layer`, whose values are compared each with its like. Rows in which it is null do not count. */
  "by?": "string > 0",
})
export type Quantity = typeof Quantity.infer

/** The numbers of every run, one for each value of `by`. Cells that are null or not finite have none. */
export const valuesOfQuantity = (evidence: Evidence, quantity: Quantity): readonly Value[] => {
  const { column, where, by } = quantity
  const { step, ...others } = where
  if (step === "change") {
    const at = (end: 0 | "last") =>
      valuesOfQuantity(evidence, { ...quantity, where: { ...others, step: end } })
    const start = new Map(at(0).map((value) => [placeOf(value), value.value]))
    return at("last").flatMap((value) => {
      const before = start.get(placeOf(value))
      return before === undefined ? [] : [{ ...value, value: value.value - before }]
    })
  }
  const { runs, observations } = evidence
  const relative = step === "last" || step === "warmup"
  const steps = new Map(
    runs.map((run) => [runKey(run.labels, run.seed), step === "last" ? run.steps : run.warmupSteps]),
  )
  const rows = observations.filter(
    ({ labels, seed, row }) =>
      isNumber(row[column]) &&
      matches(relative ? others : where, labels, row) &&
      (!relative || row["step"] === steps.get(runKey(labels, seed))) &&
      (by === undefined || (cellOf(by, labels, row) ?? null) !== null),
  )
  return rows.map(({ labels, seed, row }) => ({
    labels,
    seed,
    part: by === undefined ? "" : String(cellOf(by, labels, row)),
    value: row[column] as number,
  }))
}

const placeOf = ({ labels, seed, part }: Value): string => JSON.stringify([runKey(labels, seed), part])

const isNumber = (cell: Cell | undefined): boolean => typeof cell === "number" && Number.isFinite(cell)

/** The same for rows and runs of one training, whatever the order of labels. */
export const runKey = (labels: Labels, seed: number | null): string =>
  JSON.stringify([Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)), seed])

/** normalised at step=0 */
export const quantityText = ({ column, where }: Quantity): string => `${column}${whereText(where)}`

/** The cohorts of observations that may have a quantity, and what is wrong with its names. */
export const plannedQuantity = (
  design: Design,
  { column, where, by }: Quantity,
  side: Labels,
): { readonly cohorts: Design["observations"]; readonly problems: readonly string[] } => {
  const names = [column, ...(by === undefined ? [] : [by])]
  const problems = unknownNames("observations", design, { ...where, ...side }, names)
  const cohorts = design.observations.filter(
    ({ labels, columns }) =>
      (columns.length === 0 || names.every((name) => columns.includes(name) || name in labels)) &&
      Object.entries(where).every(([name, value]) => !(name in labels) || cellOf(name, labels, {}) === value),
  )
  return { cohorts, problems }
}
