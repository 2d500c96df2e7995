import { type Interval, meanInterval } from "../../shared/statistics/interval.ts"
import { mean } from "../../shared/statistics/moments.ts"
import { armsOf, distinct, type RankRecord, type Study } from "../study.ts"

/** Normalised effective rank of one layer of one arm before fine-tuning, over seeds. */
export interface LayerRank {
  readonly arm: string
  readonly layer: number
  readonly seeds: number
  readonly mean: number
  readonly meanStudent: Interval
}

/** Normalised effective rank of a whole model: summed over its layers, then averaged over seeds. */
export interface ModelRank {
  readonly arm: string
  /** the largest possible sum: the number of layers */
  readonly layers: number
  /** the maximum ranks N by which effective ranks were divided, ascending; one, unless probes differ */
  readonly maximumRanks: readonly number[]
  /** one sum for each seed that has every layer, ascending by seed */
  readonly sums: readonly number[]
  /** seeds left out because a layer is missing */
  readonly incomplete: number
  readonly mean: number | null
  readonly meanStudent: Interval
}

/** In the order of arms shown, then by layer; arms that were not probed are left out. */
export const layerRanksOf = (study: Study): readonly LayerRank[] =>
  armsOf(study).flatMap((arm) => {
    const ofArm = study.before.filter((record) => record.arm === arm)
    return distinct(ofArm, ({ layer }) => layer).map((layer) => {
      const values = bySeed(ofArm.filter((record) => record.layer === layer)).map(
        ({ normalised }) => normalised,
      )
      return { arm, layer, seeds: values.length, mean: mean(values), meanStudent: meanInterval(values) }
    })
  })

/** In the order of arms shown, without arms that were not probed. A model has the layers that any seed of any arm has. */
export const modelRanksOf = (study: Study): readonly ModelRank[] => {
  const layers = distinct(study.before, ({ layer }) => layer).length
  return armsOf(study).flatMap((arm) => {
    const ofArm = study.before.filter((record) => record.arm === arm)
    if (ofArm.length === 0) return []
    const seeds = distinct(ofArm, ({ seed }) => seed)
    const complete = seeds
      .map((seed) => ofArm.filter((record) => record.seed === seed))
      .filter((records) => distinct(records, ({ layer }) => layer).length === layers)
    const sums = complete.map((records) => records.reduce((sum, { normalised }) => sum + normalised, 0))
    return [
      {
        arm,
        layers,
        maximumRanks: distinct(ofArm, ({ n }) => n),
        sums,
        incomplete: seeds.length - complete.length,
        mean: sums.length === 0 ? null : mean(sums),
        meanStudent: meanInterval(sums),
      },
    ]
  })
}

const bySeed = (records: readonly RankRecord[]): readonly RankRecord[] =>
  [...records].sort((a, b) => a.seed - b.seed)
