import { type CrossedDifference, crossedDifference, crossedInterval } from "./crossed.ts"
import { COVERAGE, type Interval, tooLittle } from "./interval.ts"
import { mean } from "./moments.ts"

/** A value of an arm, from one of its checkpoints and with one seed. */
export interface Cell {
  readonly checkpoint: number | null
  readonly seed: number
  readonly value: number
}

/** A mean over seeds and checkpoints, both of which are random, with its 95 % interval. */
export interface CellMean {
  readonly checkpoints: number
  /** Those with a value of every checkpoint; others are left out. */
  readonly seeds: number
  readonly mean: number | null
  readonly interval: Interval
}

/** The checkpoints of the given records: null first, then by seed. */
export const checkpointsOf = (records: readonly Pick<Cell, "checkpoint">[]): readonly (number | null)[] =>
  [...new Set(records.map(({ checkpoint }) => checkpoint))].sort(byCheckpoint)

/** The order of checkpoints wherever they are listed. */
const byCheckpoint = (a: number | null, b: number | null): number => (a ?? -1) - (b ?? -1)

/** In one order, so that a sum has the same bits however records came. */
export const inOrder = <T extends { readonly checkpoint: number | null; readonly seed: number }>(
  cells: readonly T[],
): readonly T[] => cells.toSorted((a, b) => byCheckpoint(a.checkpoint, b.checkpoint) || a.seed - b.seed)

/** [seeds][checkpoints], ascending, of the seeds that every checkpoint has. */
export const tableOf = (cells: readonly Cell[]) => {
  const checkpoints = checkpointsOf(cells)
  const complete = [...Map.groupBy(inOrder(cells), ({ seed }) => seed)]
    .filter(([, ofSeed]) => ofSeed.length === checkpoints.length)
    .sort(([a], [b]) => a - b)
  return {
    checkpoints: checkpoints.length,
    seeds: complete.map(([seed]) => seed),
    values: complete.map(([, ofSeed]) => ofSeed.map(({ value }) => value)),
  }
}

export const cellMean = (cells: readonly Cell[]): CellMean => {
  const { checkpoints, seeds, values } = tableOf(cells)
  return {
    checkpoints,
    ...meanOf(
      values,
      values.map(() => [0]),
    ),
    seeds: seeds.length,
  }
}

/** Of the differences from a baseline, paired by seed: what the seeds of both have in common cancels. */
export const cellDifference = (cells: readonly Cell[], baseline: readonly Cell[]): PairedMean => {
  const [ours, theirs] = [tableOf(cells), tableOf(baseline)]
  const seeds = ours.seeds.filter((seed) => theirs.seeds.includes(seed))
  const rows = ({ seeds: all, values }: typeof ours) => seeds.map((seed) => values[all.indexOf(seed)]!)
  const [first, second] = [rows(ours), rows(theirs)]
  return {
    checkpoints: ours.checkpoints,
    seeds: seeds.length,
    differences: first.map((values, i) => mean(values) - mean(second[i]!)),
    ...meanOf(first, second),
  }
}

export interface PairedMean extends CellMean {
  /** Of each seed the difference of the means over checkpoints, ascending by seed. */
  readonly differences: readonly number[]
  /** Null below two seeds. */
  readonly crossed: CrossedDifference | null
}

const meanOf = (first: readonly (readonly number[])[], second: readonly (readonly number[])[]) => {
  const differences = first.map((values, i) => mean(values) - mean(second[i]!))
  const crossed = crossedDifference(first, second)
  return {
    mean: differences.length === 0 ? null : mean(differences),
    interval: intervalOf(crossed, differences),
    crossed,
  }
}

const intervalOf = (crossed: CrossedDifference | null, differences: readonly number[]): Interval => {
  const none = tooLittle(differences)
  if (none !== null && none.why !== "equal") return none
  if (crossed === null || crossed.parts.every(({ variance }) => variance === 0)) {
    return { kind: "none", why: "equal" }
  }
  return { kind: "interval", ...crossedInterval(crossed, COVERAGE) }
}
