import type { Figure } from "../../shared/figure.ts"
import { rounded } from "../../shared/records.ts"
import { armScales, CONFIG } from "../../shared/style.ts"
import type { TrainingRecord } from "../study.ts"

/** Dev scores during further training, a line for each checkpoint; null if none was evaluated. */
export const trainingFigure = (
  arms: readonly string[],
  records: readonly TrainingRecord[],
): Figure | null => {
  const points = records.flatMap(({ arm, checkpoint, exportedStep, evaluations }) =>
    evaluations.flatMap(({ step, score }) =>
      score === null ? [] : [{ arm, checkpoint, step, score: 100 * score, exported: step === exportedStep }],
    ),
  )
  if (points.length === 0) return null
  const scales = armScales(arms)
  const legend = {
    title: null,
    values: [...new Set(points.map(({ arm }) => arm))],
    symbolOpacity: 1,
    symbolSize: 80,
  }
  const colour = { field: "arm", type: "nominal" as const, scale: scales.colour, legend }
  const x = {
    field: "step",
    type: "quantitative" as const,
    axis: { title: "step", grid: false, format: "d", tickMinStep: 1 },
  }
  const y = {
    field: "score",
    type: "quantitative" as const,
    scale: { zero: false },
    axis: { title: "dev score (Spearman × 100)" },
  }
  return {
    name: "further-training-curves",
    title: "Dev score during further training",
    caption: [
      "Lines: single checkpoints; the marked point of each is the model that was exported. Dev score: Spearman's correlation of cosine similarities with the scores of the dev pairs.",
    ],
    data: {
      columns: ["arm", "checkpoint", "step", "score", "exported"],
      rows: points.map(({ arm, checkpoint, step, score, exported }) => [
        arm,
        checkpoint,
        step,
        rounded(score),
        exported,
      ]),
    },
    spec: {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      width: 640,
      height: 200,
      config: CONFIG,
      data: { values: points },
      layer: [
        {
          mark: { type: "line", strokeWidth: 1.5 },
          encoding: { x, y, color: colour, detail: { field: "checkpoint" } },
        },
        {
          name: "exported",
          transform: [{ filter: "datum.exported" }],
          mark: { type: "point", filled: true, size: 60, opacity: 1 },
          encoding: {
            x,
            y,
            color: colour,
            shape: { field: "arm", type: "nominal", scale: scales.shape, legend },
          },
        },
      ],
    },
  }
}
