import { type } from "arktype"
import type { Labels } from "../../../../core/api/plugin.ts"
import type { Cell } from "../../../../core/artifacts/observations.ts"
import { unknownName } from "../../../../core/io/nearest-name.ts"
import type { Design, Evidence, ObservationEvidence } from "./claim.ts"
import { cellOf, matches, unknownNames, Where } from "./evidence.ts"
import { type Value, whereText } from "./paired.ts"

/** Which numbers of a run's observations. */
export const Quantity = type({
  /** A column of numbers of any probe. */
  column: "string > 0",
  /**
   * Labels and cells that must be equal: `{ step: 0 }`. `step: "last"` is the end of a run or, where the run itself is not
   * given, the last step at which it was observed; `"first"` is the first step at which it was observed, `"warmup"` the
   * end of its warm-up, and `"change"` is the difference, the last minus the first.
   */
  where: Where.default(() => ({})),
  /** A column or a label, such as `layer`, whose values are compared each with its like. Rows in which it is null do not count. */
  "by?": "string > 0",
  /** What sentences call it, in place of `column` and `where`: `normalised rank before fine-tuning`. */
  "called?": "string > 0",
})
export type Quantity = typeof Quantity.infer

/** The numbers of every run, one for each value of `by`. Cells that are null or not finite have none. */
export const valuesOfQuantity = (evidence: Evidence, quantity: Quantity): readonly Value[] => {
  const { column, where, by } = quantity
  const { step, ...others } = where
  if (step === "change") {
    const at = (end: "first" | "last") =>
      valuesOfQuantity(evidence, { ...quantity, where: { ...others, step: end } })
    const first = new Map(at("first").map((value) => [placeOf(value), value.value]))
    return at("last").flatMap((value) => {
      const before = first.get(placeOf(value))
      return before === undefined ? [] : [{ ...value, value: value.value - before }]
    })
  }
  const { observations } = evidence
  const relative = isRelative(step)
  const rows = observations.filter(
    ({ labels, row }) =>
      isNumber(row[column]) &&
      matches(relative ? others : where, labels, row) &&
      (by === undefined || (cellOf(by, labels, row) ?? null) !== null),
  )
  const chosen = relative ? atStep(evidence, rows, step) : rows
  return chosen.map(({ labels, seed, row }) => ({
    labels,
    seed,
    part: by === undefined ? "" : String(cellOf(by, labels, row)),
    value: row[column] as number,
  }))
}

const placeOf = ({ labels, seed, part }: Value): string => JSON.stringify([runKey(labels, seed), part])

type RelativeStep = "first" | "warmup" | "last"
/** What `step` may be in words. */
const steps: readonly string[] = ["first", "warmup", "last", "change"] satisfies (RelativeStep | "change")[]
const isRelative = (step: Where[string] | undefined): step is RelativeStep =>
  step === "first" || step === "warmup" || step === "last"

/** Of each run, the rows of one step. */
const atStep = (
  { runs }: Evidence,
  rows: readonly ObservationEvidence[],
  which: RelativeStep,
): readonly ObservationEvidence[] => {
  const keyOf = ({ labels, seed }: ObservationEvidence) => runKey(labels, seed)
  const steps = new Map<string, number>()
  for (const observation of rows) {
    const step = observation.row["step"]
    if (typeof step !== "number" || which === "warmup") continue
    const known = steps.get(keyOf(observation)) ?? step
    steps.set(keyOf(observation), which === "last" ? Math.max(known, step) : Math.min(known, step))
  }
  for (const run of which === "first" ? [] : runs) {
    const step = which === "last" ? run.steps : run.warmupSteps
    if (step !== null) steps.set(runKey(run.labels, run.seed), step)
  }
  return rows.filter((observation) => observation.row["step"] === steps.get(keyOf(observation)))
}

const isNumber = (cell: Cell | undefined): boolean => typeof cell === "number" && Number.isFinite(cell)

/** The same for rows and runs of one training, whatever the order of labels. */
export const runKey = (labels: Labels, seed: number | null): string =>
  JSON.stringify([Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)), seed])

/** What it is called or, without a name, `normalised at step=0`. */
export const quantityText = ({ column, where, called }: Quantity): string =>
  called ?? `${column}${whereText(where)}`

/** What a comparison calls a column, and where it is compared: a name covers `where`, but not the learning rate. */
export const comparedText = (
  { column, called }: Pick<Quantity, "column" | "called">,
  where: Where,
): { readonly what: string; readonly at: string } => {
  if (called === undefined) return { what: column, at: whereText(where) }
  return { what: called, at: whereText(where["lr"] === undefined ? {} : { lr: where["lr"] }) }
}

/** Before the first update, a run is neither at its end nor at that of its warm-up. */
const hasStep = (steps: readonly number[], step: Where[string] | undefined): boolean =>
  typeof step === "number"
    ? steps.includes(step)
    : step === undefined || step === "first" || steps.some((at) => at > 0)

/** The cohorts of observations that may have a quantity, and what is wrong with its names. */
export const plannedQuantity = (
  design: Design,
  { column, where, by }: Quantity,
  side: Labels,
): { readonly cohorts: Design["observations"]; readonly problems: readonly string[] } => {
  const names = [column, ...(by === undefined ? [] : [by])]
  const { step } = where
  const problems = [
    ...unknownNames("observations", design, { ...where, ...side }, names),
    ...(typeof step === "string" && !steps.includes(step)
      ? [`${unknownName("step", step, steps)} (or, for a step of that number, the number itself)`]
      : []),
  ]
  const cohorts = design.observations.filter(
    ({ labels, columns, steps }) =>
      (steps === undefined || hasStep(steps, where["step"])) &&
      (columns.length === 0 || names.every((name) => columns.includes(name) || name in labels)) &&
      Object.entries(where).every(([name, value]) => !(name in labels) || cellOf(name, labels, {}) === value),
  )
  return { cohorts, problems }
}
