import type { Figure } from "../../shared/figure.ts"
import { rounded } from "../../shared/records.ts"
import { CONFIG, INK, SEQUENTIAL } from "../../shared/style.ts"
import { metricOf, wordsOf } from "../metric.ts"
import { armsOf, distinct, outcomeLookup, type Study } from "../study.ts"
import { layerAxis, onLayerAxis, rankAxis } from "./layers.ts"
import {
  facetOf,
  failedGround,
  PANEL_SPACING,
  panelCaption,
  panelNote,
  panelsOf,
  panelWidth,
  shownBy,
} from "./panels.ts"

/** Figure 4: normalised effective rank by layer, at the observed steps of fine-tuning. */
export const rankDuringFigure = (study: Study): Figure => {
  const name = "figure-4"
  const title = "Figure 4. Normalised effective rank by layer during fine-tuning"
  const panels = panelsOf(armsOf(study), study.during, outcomeLookup(study.runs))
  const shown = study.during.filter(shownBy(panels)).sort((a, b) => a.step - b.step || a.layer - b.layer)
  const data = {
    columns: ["arm", "checkpoint", "lr", "seed", "step", "layer", "normalised_erank", "run_failed"],
    rows: panels.flatMap((panel) =>
      shown
        .filter(({ arm, lr }) => arm === panel.arm && lr === panel.lr)
        .map(({ arm, checkpoint, lr, seed, step, layer, normalised }) => [
          arm,
          checkpoint,
          lr,
          seed,
          step,
          layer,
          rounded(normalised),
          panel.failed,
        ]),
    ),
  }
  if (shown.length === 0) {
    return { name, title, caption: ["No run was probed during fine-tuning."], data, spec: null }
  }
  const steps = distinct(shown, ({ step }) => step)
  const width = panelWidth(panels)
  const x = layerAxis(shown)
  const y = {
    field: "normalised",
    ...rankAxis(
      shown.map(({ normalised }) => normalised),
      null,
    ),
  }
  // With few layers a line is hardly more than a dot, so the points are drawn too.
  const dots = distinct(shown, ({ layer }) => layer).length <= 4
  const points = shown.map(({ arm, lr, step, layer, normalised }) => ({
    part: "point",
    arm,
    lr,
    step,
    axisLayer: onLayerAxis(layer),
    normalised,
  }))
  return {
    name,
    title,
    caption: [
      "Lines: effective rank divided by its maximum, by layer; colour: step of fine-tuning. Where ranks are equal, later steps cover earlier ones.",
      ...panelCaption(panels, study.during, wordsOf(metricOf(study.runs))),
    ],
    data,
    spec: {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      config: CONFIG,
      data: { values: [...panels.map((panel) => ({ part: "panel", ...panel })), ...points] },
      facet: facetOf(panels, "normalised effective rank"),
      spacing: PANEL_SPACING,
      spec: {
        width,
        height: Math.round(width * 0.75),
        layer: [
          failedGround,
          {
            transform: [{ filter: "datum.part === 'point'" }],
            layer: [
              {
                mark: { type: "line", color: INK, strokeWidth: 2.4, opacity: 0.25 },
                encoding: { x, y, detail: { field: "step" } },
              },
              {
                name: "steps",
                mark: { type: "line", strokeWidth: 1.6, point: dots && { size: 20 } },
                encoding: {
                  x,
                  y,
                  color: {
                    field: "step",
                    type: "ordinal",
                    scale: { domain: [...steps], scheme: SEQUENTIAL },
                    legend: { title: "step", symbolType: "stroke", symbolStrokeWidth: 3 },
                  },
                },
              },
            ],
          },
          panelNote,
        ],
      },
    },
  }
}
