import { effectiveRank } from "../../../probe/fisher.ts"
import {
  type Cell,
  type CellMean,
  cellDifference,
  cellMean,
  type PairedMean,
} from "../../shared/statistics/cells.ts"
import { armsOf, distinct, type RankRecord, type Study } from "../study.ts"

/** The effective rank of a record; by default as the probe gave it. */
type RankOf = (record: RankRecord) => number

const asObserved: RankOf = ({ erank }) => erank

/** The effective rank at another threshold, from the stored eigenvalues. */
export const atThreshold =
  (threshold: number): RankOf =>
  ({ eigenvalues }) =>
    effectiveRank(Float64Array.from(eigenvalues), threshold)

/** A rank of an arm before fine-tuning, and its difference from the baseline's with the same probe seed. */
export interface ArmRank {
  readonly arm: string
  readonly cells: readonly Cell[]
  readonly rank: CellMean
  /** null for the baseline itself, and where the baseline was not probed */
  readonly difference: PairedMean | null
}

/** Of one layer. */
export interface LayerRank extends ArmRank {
  readonly layer: number
}

/** Of a whole model: summed over its layers. */
export interface ModelRank extends ArmRank {
  /** the largest possible sum: the number of layers */
  readonly layers: number
  /** the maximum ranks N by which effective ranks were divided, ascending; one, unless probes differ */
  readonly maximumRanks: readonly number[]
  /** models and seeds left out because a layer is missing */
  readonly incomplete: number
}

/** The arm that ranks are compared with: the first of the study's, if it was probed. */
const baselineOf = (study: Study): string | undefined => armsOf(study)[0]

const compared = (
  arm: string,
  baseline: string | undefined,
  cells: readonly Cell[],
  of: readonly Cell[],
) => ({
  arm,
  cells,
  rank: cellMean(cells),
  difference: arm === baseline || of.length === 0 ? null : cellDifference(cells, of),
})

/** In the order of arms shown, then by layer; arms that were not probed are left out. */
export const layerRanksOf = (study: Study): readonly LayerRank[] => {
  const baseline = baselineOf(study)
  const cellsOf = (name: string | undefined, layer: number): readonly Cell[] =>
    study.before
      .filter((record) => record.arm === name && record.layer === layer)
      .map(({ checkpoint, seed, normalised }) => ({ checkpoint, seed, value: normalised }))
  return armsOf(study).flatMap((arm) =>
    distinct(
      study.before.filter((record) => record.arm === arm),
      ({ layer }) => layer,
    ).map((layer) => ({ layer, ...compared(arm, baseline, cellsOf(arm, layer), cellsOf(baseline, layer)) })),
  )
}

/** In the order of arms shown, without arms that were not probed. A model has the layers that any seed of any arm has. */
export const modelRanksOf = (study: Study, rankOf: RankOf = asObserved): readonly ModelRank[] => {
  const layers = distinct(study.before, ({ layer }) => layer).length
  const sums = new Map(
    [...Map.groupBy(study.before, ({ arm }) => arm)].map(([arm, records]) => [
      arm,
      sumsOf(records, layers, rankOf),
    ]),
  )
  const baseline = baselineOf(study)
  return armsOf(study).flatMap((arm) => {
    const ofArm = sums.get(arm)
    if (ofArm === undefined) return []
    const { cells, incomplete, maximumRanks } = ofArm
    const of = baseline === undefined ? [] : (sums.get(baseline)?.cells ?? [])
    return [{ ...compared(arm, baseline, cells, of), layers, maximumRanks, incomplete }]
  })
}

const sumsOf = (records: readonly RankRecord[], layers: number, rankOf: RankOf) => {
  const models = [
    ...Map.groupBy(records, ({ checkpoint, seed }) => JSON.stringify([checkpoint, seed])).values(),
  ]
  const complete = models.filter((model) => distinct(model, ({ layer }) => layer).length === layers)
  const cells = complete.map((model): Cell => {
    const { checkpoint, seed } = model[0]!
    // Ranks are summed before they are divided, so that models of equal ranks have equal sums to the bit.
    const value = distinct(model, ({ n }) => n).reduce((all, n) => {
      const ranks = model.filter((record) => record.n === n).map(rankOf)
      return all + ranks.reduce((sum, rank) => sum + rank, 0) / n
    }, 0)
    return { checkpoint, seed, value }
  })
  return { cells, incomplete: models.length - complete.length, maximumRanks: distinct(records, ({ n }) => n) }
}
