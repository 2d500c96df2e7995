import type { CellMean } from "../../shared/statistics/cells.ts"
import { decimal, interval } from "../format.ts"
import { armsOf, type Study } from "../study.ts"
import { atThreshold, modelRanksOf } from "./rank.ts"

/** Even on a logarithmic axis of what is left out of the sum of eigenvalues. */
export const THRESHOLDS = [
  0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.992, 0.994, 0.995, 0.996, 0.997, 0.998, 0.999,
]

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

/**
 * A sentence for each arm of which it depends on the threshold whether its ranks are higher or lower than the
 * baseline's, or whether an interval can tell. None if no interval can at any threshold.
 */
export const thresholdSentences = (ranks: readonly ThresholdRank[], baseline: string): readonly string[] =>
  [...Map.groupBy(ranks, ({ arm }) => arm)].flatMap(([arm, all]) => {
    const compared = all.flatMap(({ threshold, difference }) =>
      difference === null || difference.mean === null
        ? []
        : [{ threshold, mean: difference.mean, of: difference.interval }],
    )
    const [first, last] = [compared[0], compared.at(-1)]
    if (first === undefined || last === undefined) return []
    const changes = changesOf(compared, ({ mean }) => Math.sign(mean))
    const told = compared.filter(({ of }) => of.kind === "interval" && (of.low > 0 || of.high < 0))
    const flips = new Set(compared.map(({ mean }) => Math.sign(mean))).size > 1
    const partly = told.length > 0 && told.length < compared.length
    if (told.length === 0 || !(flips || partly)) return []
    const at = ({ threshold, mean, of }: (typeof compared)[number]) =>
      `${signed(mean)} (${interval(of, 3, "seed")}) at ${threshold}`
    return [
      [
        `The difference of ${arm} from ${baseline} in the sum of ranks depends on the threshold: ${at(first)}, ${at(last)}`,
        ...(flips ? [`its sign changes between ${changes.join(", and between ")}`] : []),
        `its 95 % interval excludes 0 at ${partly ? `${listed(told.map(({ threshold }) => threshold))} only` : "every threshold"}`,
      ].join("; "),
    ].map((sentence) => `${sentence}.`)
  })

/** The pairs of adjacent thresholds between which a property changes: `0.98 and 0.985`. */
const changesOf = <T extends { readonly threshold: number }>(
  records: readonly T[],
  of: (record: T) => unknown,
): readonly string[] =>
  records
    .slice(1)
    .flatMap((record, i) =>
      of(record) === of(records[i]!) ? [] : [`${records[i]!.threshold} and ${record.threshold}`],
    )

/** Adjacent thresholds as a range: `0.9 to 0.95, 0.999`. */
const listed = (thresholds: readonly number[]): string => {
  const ranges: { readonly from: number; to: number }[] = []
  for (const threshold of thresholds) {
    const last = ranges.at(-1)
    if (last !== undefined && THRESHOLDS.indexOf(threshold) === THRESHOLDS.indexOf(last.to) + 1) {
      last.to = threshold
    } else ranges.push({ from: threshold, to: threshold })
  }
  return ranges.map(({ from, to }) => (from === to ? String(from) : `${from} to ${to}`)).join(", ")
}

const signed = (value: number): string => `${value > 0 ? "+" : ""}${decimal(value, 3)}`
