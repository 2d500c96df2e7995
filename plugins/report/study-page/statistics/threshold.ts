import { armsOf, type Study } from "../study.ts"
import type { CellMean } from "./cells.ts"
import { atThreshold, modelRanksOf } from "./rank.ts"

/** Even on a logarithmic axis of what is left out of the sum of eigenvalues. */
export const THRESHOLDS = [0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.992, 0.994, 0.995, 0.996, 0.997, 0.998, 0.999]

/** The sum of the normalised effective ranks of an arm before fine-tuning, at one threshold. */
export interface ThresholdRank {
  readonly arm: string
  readonly threshold: number
  readonly layers: number
  readonly rank: CellMean
  readonly difference: CellMean | null
}

/** In the order of arms shown, then by threshold. */
export const thresholdRanksOf = (study: Study): readonly ThresholdRank[] => {
  const all = THRESHOLDS.flatMap((threshold) =>
    modelRanksOf(study, atThreshold(threshold)).map(({ arm, layers, rank, difference }) => ({
      arm,
      threshold,
      layers,
      rank,
      difference,
    })),
  )
  return armsOf(study).flatMap((arm) => all.filter((each) => each.arm === arm))
}

/** What an interval says of a difference. */
export type Direction = "higher" | "lower" | "neither"

export const directionOf = ({ difference }: ThresholdRank): Direction => {
  if (difference?.interval.kind !== "interval") return "neither"
  const { low, high } = difference.interval
  return low > 0 ? "higher" : high < 0 ? "lower" : "neither"
}
