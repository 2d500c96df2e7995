import { plural } from "../../../../core/io/format.ts"
import type { Figure } from "../../shared/figure.ts"
import { rounded } from "../../shared/records.ts"
import { armScales, CONFIG } from "../../shared/style.ts"
import { ends } from "../format.ts"
import type { LayerRank } from "../statistics/rank.ts"
import { layerAxis, onLayerAxis, rankAxis } from "./layers.ts"

/** Figure 3: normalised effective rank by layer before fine-tuning. */
export const rankBeforeFigure = (arms: readonly string[], ranks: readonly LayerRank[]): Figure => {
  const name = "figure-3"
  const title = "Figure 3. Normalised effective rank by layer before fine-tuning"
  const data = {
    columns: ["arm", "layer", "seeds", "mean", "t_low", "t_high"],
    rows: ranks.map((rank) => [
      rank.arm,
      rank.layer,
      rank.seeds,
      ...[rank.mean, ...ends(rank.meanStudent)].map(rounded),
    ]),
  }
  if (ranks.length === 0) {
    return { name, title, caption: ["No model was probed before fine-tuning."], data, spec: null }
  }
  const points = ranks.map((rank, i) => {
    const [low, high] = ends(rank.meanStudent)
    const { arm, layer, mean } = rank
    const banded = [ranks[i - 1], ranks[i + 1]].some(
      (next) => next?.arm === arm && next.meanStudent.kind === "interval",
    )
    return { arm, axisLayer: onLayerAxis(layer), mean, low, high, alone: low !== null && !banded }
  })
  const scales = armScales(arms)
  const drawn = [...new Set(ranks.map(({ arm }) => arm))]
  const legend = { title: null, values: drawn, symbolOpacity: 1, symbolSize: 80 }
  const colour = { field: "arm", type: "nominal" as const, scale: scales.colour, legend }
  const y = rankAxis(
    points.flatMap(({ mean, low, high }) => [mean, low ?? mean, high ?? mean]),
    "normalised effective rank",
  )
  const x = layerAxis(ranks)
  return {
    name,
    title,
    caption: caption(ranks),
    data,
    spec: {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      width: 640,
      height: 340,
      config: CONFIG,
      data: { values: points },
      layer: [
        {
          name: "bands",
          mark: { type: "area", opacity: 0.18 },
          encoding: { x, y: { field: "low", ...y }, y2: { field: "high" }, color: colour },
        },
        {
          // A band needs two adjacent layers with intervals; an interval without a neighbour becomes a bar.
          transform: [{ filter: "datum.alone" }],
          mark: { type: "rule", strokeWidth: 6, opacity: 0.18 },
          encoding: { x, y: { field: "low", ...y }, y2: { field: "high" }, color: colour },
        },
        {
          mark: { type: "line", strokeWidth: 2 },
          encoding: { x, y: { field: "mean", ...y }, color: colour },
        },
        {
          name: "means",
          mark: { type: "point", filled: true, size: 40, opacity: 1 },
          encoding: {
            x,
            y: { field: "mean", ...y },
            color: colour,
            shape: { field: "arm", type: "nominal", scale: scales.shape, legend },
          },
        },
      ],
    },
  }
}

const caption = (ranks: readonly LayerRank[]): readonly string[] => {
  const seeds = ranks.map((rank) => rank.seeds)
  const least = Math.min(...seeds)
  const most = Math.max(...seeds)
  const bare = ranks.filter(({ meanStudent }) => meanStudent.kind === "none").length
  return [
    `Lines: mean over ${least === most ? plural(least, "probe seed") : `${least} to ${most} probe seeds`} of the effective rank divided by its maximum; bands: 95 % interval of the mean (Student's t), not clipped at the maximum of 1.`,
    ...(bare === 0 ? [] : [`No interval at ${plural(bare, "point")}: one seed, or all seeds equal.`]),
  ]
}
