import { cos, sin } from "../../../../core/tensor/elementary.ts"
import type { Figure } from "../../shared/figure.ts"
import { rounded } from "../../shared/records.ts"
import { CONFIG, INK, SEQUENTIAL } from "../../shared/style.ts"
import { metricOf, wordsOf } from "../metric.ts"
import { armsOf, outcomeLookup, type Study, type TrajectoryRecord } from "../study.ts"
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

const DEGREE = Math.PI / 180

/** Figure 2: the trajectory of a run relative to its own end, in polar coordinates. */
export const trajectoryFigure = (study: Study): Figure => {
  const name = "figure-2"
  const title = "Figure 2. Optimisation trajectory in polar coordinates"
  const panels = panelsOf(armsOf(study), study.trajectory, outcomeLookup(study.runs))
  const shown = study.trajectory.filter(shownBy(panels)).sort((a, b) => a.step - b.step)
  const points = panels.flatMap((panel) =>
    shown
      .filter(({ arm, lr }) => arm === panel.arm && lr === panel.lr)
      .map((record) => ({ ...record, ...cartesian(record), failed: panel.failed })),
  )
  const data = {
    columns: [
      ...["arm", "checkpoint", "lr", "seed", "step"],
      ...["r", "phi_degrees", "x", "y", "training_loss", "run_failed"],
    ],
    rows: points.map(({ arm, checkpoint, lr, seed, step, r, phi, x, y, loss, failed }) => [
      arm,
      checkpoint,
      lr,
      seed,
      step,
      ...[r, phi === null ? null : phi / DEGREE, x, y, loss].map(rounded),
      failed,
    ]),
  }
  if (points.length === 0) {
    return { name, title, caption: ["No trajectory was recorded."], data, spec: null }
  }
  const axes = polarAxes(points)
  const width = panelWidth(panels)
  const x = { field: "x", type: "quantitative" as const, scale: { domain: axes.x, nice: false }, axis: null }
  const y = { field: "y", type: "quantitative" as const, scale: { domain: axes.y, nice: false }, axis: null }
  const values = points.map(({ arm, lr, step, x, y, loss }) => ({ part: "point", arm, lr, step, x, y, loss }))
  return {
    name,
    title,
    caption: [
      "Radius r: distance to the run's end, divided by the distance between start and end. Angle φ: between the directions from the end to the start and to the point. The start is at r = 1, φ = 0; the end, where φ is not defined, is at the origin. Points are joined in the order of steps and coloured by training loss. Dashed: r = cos φ, the path of a random walk in many dimensions.",
      ...panelCaption(panels, study.trajectory, wordsOf(metricOf(study.runs))),
      "Both coordinates are relative to the run's own end, which every path reaches by construction: interpret shapes with care.",
    ],
    data,
    spec: {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      config: CONFIG,
      data: { values: [...panels.map((panel) => ({ part: "panel", ...panel })), ...values] },
      facet: facetOf(panels, null),
      spacing: PANEL_SPACING,
      spec: {
        width,
        height: Math.round((width * (axes.y[1]! - axes.y[0]!)) / (axes.x[1]! - axes.x[0]!)),
        layer: [
          failedGround,
          {
            data: { values: axes.lines },
            mark: { type: "line", color: INK, opacity: 0.18, strokeWidth: 1 },
            encoding: { x, y, detail: { field: "line" }, order: { field: "order" } },
          },
          {
            data: { values: axes.labels },
            mark: { type: "text", color: INK, opacity: 0.7, fontSize: 8 },
            encoding: { x, y, text: { field: "label" } },
          },
          {
            data: { values: randomWalk() },
            mark: { type: "line", color: INK, opacity: 0.7, strokeWidth: 1, strokeDash: [3, 3] },
            encoding: { x, y, order: { field: "order" } },
          },
          {
            transform: [{ filter: "datum.part === 'point'" }],
            layer: [
              {
                mark: { type: "line", color: INK, opacity: 0.5, strokeWidth: 1 },
                encoding: { x, y, order: { field: "step" } },
              },
              {
                name: "points",
                mark: { type: "point", filled: true, size: 34, opacity: 1, stroke: INK, strokeWidth: 0.6 },
                encoding: {
                  x,
                  y,
                  fill: {
                    field: "loss",
                    type: "quantitative",
                    scale: { scheme: SEQUENTIAL, zero: false },
                    legend: { title: "training loss", tickCount: 5, format: ".2~r", gradientLength: 120 },
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

/** The end of a run has no angle; since r = 0 there, it is drawn at the origin. */
const cartesian = ({ r, phi }: TrajectoryRecord) => ({ x: r * cos(phi ?? 0), y: r * sin(phi ?? 0) })

/** Polar grid out to the farthest point, from 0° to 105° or to the widest angle of a point if that is more. */
const polarAxes = (points: readonly TrajectoryRecord[]) => {
  const farthest = Math.max(1, ...points.map(({ r }) => r))
  const widest = Math.max(105, ...points.map(({ phi }) => (phi ?? 0) / DEGREE))
  // Arcs every 0.5, or further apart if r is large.
  const gap = [0.5, 1, 2, 5, 10].find((each) => farthest / each <= 4) ?? farthest / 4
  const rings = Math.floor(farthest / gap + 1e-9)
  const radius = farthest
  const sweep = Math.min(180, Math.ceil(widest / 15 - 1e-9) * 15)

  const arcs = Array.from({ length: rings }, (_, i) => (i + 1) * gap).flatMap((r) =>
    Array.from({ length: sweep / 3 + 1 }, (_, i) => ({ line: `arc ${r}`, order: i, ...at(r, 3 * i) })),
  )
  const angles = Array.from({ length: sweep / 15 + 1 }, (_, i) => 15 * i)
  const rays = angles.flatMap((angle) =>
    [0, radius].map((r, order) => ({ line: `ray ${angle}`, order, ...at(r, angle) })),
  )
  const labels = [
    ...angles
      .filter((angle) => angle % 30 === 0 || angle === sweep)
      .map((angle) => ({ label: `${angle}°`, ...at(radius * 1.1, angle) })),
    ...Array.from({ length: rings }, (_, i) => ({
      label: String((i + 1) * gap),
      x: (i + 1) * gap,
      y: -0.08 * radius,
    })),
  ]
  const left = Math.min(0, at(radius, sweep).x)
  return {
    lines: [...arcs, ...rays],
    labels,
    x: [left - 0.12 * radius, 1.2 * radius],
    y: [-0.14 * radius, 1.18 * radius],
  }
}

const at = (r: number, degrees: number) => ({
  x: r * cos(degrees * DEGREE),
  y: r * sin(degrees * DEGREE),
})

/** r = cos φ from 0° to 90°. */
const randomWalk = () =>
  Array.from({ length: 46 }, (_, order) => ({ order, ...at(cos(2 * order * DEGREE), 2 * order) }))
