import { type Interval, meanInterval } from "../../shared/statistics/interval.ts"
import { mean } from "../../shared/statistics/moments.ts"
import { byCheckpoint, checkpointsOf } from "../study.ts"

/** A value of an arm, from one of its checkpoints and with one seed. */
export interface Cell {
  readonly checkpoint: number | null
  readonly seed: number
  readonly value: number
}

/** Over all cells, each counting once. */
export interface CellMean {
  readonly checkpoints: number
  /** different seeds of fine-tuning */
  readonly seeds: number
  readonly mean: number | null
  readonly interval: Interval
}

/** In one order, so that a sum has the same bits however records came. */
export const inOrder = <T extends { readonly checkpoint: number | null; readonly seed: number }>(
  cells: readonly T[],
): readonly T[] => cells.toSorted((a, b) => byCheckpoint(a.checkpoint, b.checkpoint) || a.seed - b.seed)

export const cellMean = (cells: readonly Cell[]): CellMean => {
  const values = inOrder(cells).map(({ value }) => value)
  return {
    checkpoints: checkpointsOf(cells).length,
    seeds: new Set(cells.map(({ seed }) => seed)).size,
    mean: values.length === 0 ? null : mean(values),
    interval: meanInterval(values),
  }
}

/**
 * Cell by cell, the difference from the baseline's value with the same seed, or its mean over the baseline's
 * checkpoints. Cells of seeds that the baseline does not have are left out.
 */
export const differencesFrom = (baseline: readonly Cell[], cells: readonly Cell[]): readonly Cell[] => {
  const bySeed = Map.groupBy(baseline, ({ seed }) => seed)
  return cells.flatMap((cell) => {
    const others = bySeed.get(cell.seed)
    return others === undefined
      ? []
      : [{ ...cell, value: cell.value - mean(inOrder(others).map(({ value }) => value)) }]
  })
}
