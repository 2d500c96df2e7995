import type { Figure } from "../../shared/figure.ts"
import type { ThresholdRank } from "../statistics/threshold.ts"
import { bandPoints, bandSpec, meanFields } from "./band.ts"

/** The sum of the normalised effective ranks before fine-tuning against their threshold. */
export const thresholdFigure = (arms: readonly string[], ranks: readonly ThresholdRank[]): Figure => {
  const name = "threshold-curve"
  const title = "Sum of the normalised effective ranks before fine-tuning against the threshold"
  const data = {
    columns: [
      ...["arm", "threshold", "checkpoints", "seeds", "sum", "low", "high"],
      ...["difference", "difference_low", "difference_high"],
    ],
    rows: ranks.map(({ arm, threshold, rank, difference }) => [
      ...[arm, threshold, rank.checkpoints, rank.seeds],
      ...meanFields(rank),
      ...meanFields(difference),
    ]),
  }
  const points = bandPoints(ranks, ({ threshold, rank }) => ({ x: leftOut(threshold), of: rank }))
  if (points.length === 0) {
    return {
      name,
      title,
      caption: ["No model was probed in every layer before fine-tuning."],
      data,
      spec: null,
    }
  }
  const differences = bandPoints(ranks, ({ threshold, difference }) => ({
    x: leftOut(threshold),
    of: difference,
  }))
  return {
    name,
    title,
    caption: [
      `Lines: mean over seeds of the sum over ${ranks[0]!.layers} layers. A rank is the least number of eigenvalues of the Fisher that together exceed this part of their sum, divided by its maximum; all follow from the eigenvalues in ranks-before.csv. Bands: 95 % interval of the mean.`,
      ...(differences.length === 0
        ? []
        : [
            `Below: the difference from ${arms[0]}, paired by seed, with the interval of the paired differences.`,
          ]),
    ],
    data,
    spec: bandSpec({
      arms,
      x: {
        field: "x",
        type: "quantitative",
        scale: { type: "log", domain: [0.001, 0.1], reverse: true, nice: false },
        axis: {
          title: "threshold",
          values: [0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001],
          labelExpr: "format(1 - datum.value, '.3~f')",
          grid: false,
        },
      },
      y: { type: "quantitative", scale: { zero: false }, axis: { title: "sum of ranks" } },
      height: 240,
      points,
      thin: [],
      differences,
    }),
  }
}

/** The part that is not in the sum of eigenvalues, without the rounding error of the subtraction. */
const leftOut = (threshold: number): number => Number((1 - threshold).toFixed(6))
