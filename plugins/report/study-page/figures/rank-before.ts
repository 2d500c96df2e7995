import { plural } from "../../../../core/io/format.ts"
import type { Figure } from "../../shared/figure.ts"
import { type Field, type Records, rounded } from "../../shared/records.ts"
import { checkpointsOf } from "../../shared/statistics/cells.ts"
import { mean } from "../../shared/statistics/moments.ts"
import type { LayerRank } from "../statistics/rank.ts"
import { bandPoints, bandSpec, meanFields } from "./band.ts"
import { layerAxis, onLayerAxis, rankAxis } from "./layers.ts"

/** Figure 3: normalised effective rank by layer before fine-tuning, and its difference from the baseline. */
export const rankBeforeFigure = (arms: readonly string[], ranks: readonly LayerRank[]): Figure => {
  const name = "figure-3"
  const title = "Figure 3. Normalised effective rank by layer before fine-tuning"
  const data = records(ranks)
  if (ranks.length === 0) {
    return { name, title, caption: ["No model was probed before fine-tuning."], data, spec: null }
  }
  const points = bandPoints(ranks, ({ layer, rank }) => ({ x: onLayerAxis(layer), of: rank }))
  const differences = bandPoints(ranks, ({ layer, difference }) => ({
    x: onLayerAxis(layer),
    of: difference,
  }))
  const thin = ranks.flatMap((rank) =>
    checkpointMeans(rank).map(({ checkpoint, mean }) => ({
      arm: rank.arm,
      checkpoint,
      x: onLayerAxis(rank.layer),
      mean,
    })),
  )
  const range = [
    ...points.flatMap(({ mean, low, high }) => [mean, low ?? mean, high ?? mean]),
    ...thin.map(({ mean }) => mean),
  ]
  return {
    name,
    title,
    caption: caption(ranks, arms[0]!, { thin: thin.length > 0, compared: differences.length > 0 }),
    data,
    spec: bandSpec({
      arms,
      x: { ...layerAxis(ranks), field: "x" },
      y: rankAxis(range, "normalised effective rank"),
      height: 340,
      points,
      thin,
      differences,
    }),
  }
}

/** The mean over seeds of each checkpoint, where an arm has several. */
const checkpointMeans = ({ cells }: LayerRank) => {
  const checkpoints = checkpointsOf(cells)
  if (checkpoints.length < 2) return []
  return checkpoints.map((checkpoint) => {
    const values = cells.filter((cell) => cell.checkpoint === checkpoint).map(({ value }) => value)
    return { checkpoint, seeds: values.length, mean: mean(values) }
  })
}

/** Of each arm and layer a row over all checkpoints, then one for each checkpoint where there are several. */
const records = (ranks: readonly LayerRank[]): Records => ({
  columns: [
    ...["arm", "layer", "checkpoint", "checkpoints", "seeds", "mean", "low", "high"],
    ...["difference", "difference_low", "difference_high"],
  ],
  rows: ranks.flatMap((each): readonly (readonly Field[])[] => {
    const { arm, layer, rank, difference } = each
    return [
      [arm, layer, "all", rank.checkpoints, rank.seeds, ...meanFields(rank), ...meanFields(difference)],
      ...checkpointMeans(each).map(({ checkpoint, seeds, mean }) => [
        ...[arm, layer, checkpoint, 1, seeds, rounded(mean)],
        ...[null, null, null, null, null],
      ]),
    ]
  }),
})

const caption = (
  ranks: readonly LayerRank[],
  baseline: string,
  { thin, compared }: { readonly thin: boolean; readonly compared: boolean },
): readonly string[] => {
  const seeds = ranks.map(({ rank }) => rank.seeds)
  const least = Math.min(...seeds)
  const most = Math.max(...seeds)
  const bare = ranks.filter(({ rank }) => rank.interval.kind === "none").length
  return [
    `Lines: mean over ${least === most ? plural(least, "probe seed") : `${least} to ${most} probe seeds`} of the effective rank divided by its maximum; bands: 95 % interval of the mean, not clipped at the maximum of 1.`,
    ...(thin ? ["Thin lines: the means of single checkpoints."] : []),
    ...(compared
      ? [
          `Below: the difference from ${baseline}, paired by seed, with the 95 % interval of the paired differences. Whether arms differ is to be read there: the intervals above also contain what the arms share.`,
        ]
      : []),
    ...(bare === 0 ? [] : [`No interval at ${plural(bare, "point")}: one seed, or all seeds equal.`]),
  ]
}
