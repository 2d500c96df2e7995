import type { TopLevelSpec } from "vega-lite"
import { plural } from "../../../core/io/format.ts"
import type { Figure } from "../shared/figure.ts"
import type { Records } from "../shared/records.ts"
import { armScales, COLOURS, CONFIG, DASHES, INK } from "../shared/style.ts"
import { doneRuns, type NamedRun } from "./runs.ts"

const quantities = [
  { field: "loss", name: "loss", title: "Training loss" },
  { field: "gradientNorm", name: "gradient-norm", title: "Gradient norm before clipping" },
  { field: "learningRate", name: "learning-rate", title: "Learning rate" },
] as const

/** Every update of the runs that have ended. */
export const curveRecords = (runs: readonly NamedRun[]): Records => ({
  columns: ["run", "seed", "update", "loss", "gradient_norm", "learning_rate"],
  rows: doneRuns(runs).flatMap(({ name, seed, run }) =>
    [...run.loss].map((loss, update) => [
      name,
      seed,
      update,
      loss,
      run.gradientNorm[update]!,
      run.learningRate[update]!,
    ]),
  ),
})

/**
 * A figure of each quantity of an update.
 *
 * @param at a step that is marked; no mark if undefined
 */
export const curveFigures = (runs: readonly NamedRun[], at: number | undefined): readonly Figure[] => {
  const done = doneRuns(runs)
  const { columns, rows } = curveRecords(runs)
  return quantities.map(({ field, name, title }, i) => {
    const values = done.flatMap(({ name, run }) =>
      [...run[field]].map((value, update) => ({ run: name, update, value })),
    )
    return {
      name,
      title,
      caption:
        values.length === 0
          ? ["No run has ended, so there is nothing to draw."]
          : [
              `${title} of every update of ${plural(done.length, "run")}, update 0 being the first.`,
              ...(at === undefined ? [] : [`Dashed: step ${at}.`]),
            ],
      data: {
        columns: [...columns.slice(0, 3), columns[3 + i]!],
        rows: rows.map((row) => [...row.slice(0, 3), row[3 + i]!]),
      },
      spec: values.length === 0 ? null : specification(values, title, at),
    }
  })
}

const specification = (
  values: readonly { readonly run: string; readonly update: number; readonly value: number }[],
  title: string,
  at: number | undefined,
): TopLevelSpec => {
  const domain = [...new Set(values.map(({ run }) => run))]
  const legend = { title: null, orient: "top" as const, labelLimit: 600, columns: 1, symbolType: "stroke" }
  const range = domain.map((_, i) => DASHES[Math.floor(i / COLOURS.length) % DASHES.length]!)
  const x = {
    field: "update",
    type: "quantitative" as const,
    scale: { nice: false, zero: false },
    axis: { title: "update", grid: false, tickMinStep: 1 },
  }
  const small = values.every(({ value }) => Math.abs(value) < 1e-2)
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    config: CONFIG,
    width: 640,
    height: 240,
    layer: [
      ...(at === undefined
        ? []
        : [
            {
              name: "step",
              data: { values: [{ update: at }] },
              mark: { type: "rule" as const, color: INK, opacity: 0.5, strokeDash: [4, 3] },
              encoding: { x },
            },
          ]),
      {
        name: "runs",
        data: { values: [...values] },
        mark: { type: "line" as const, strokeWidth: 1.4 },
        encoding: {
          x,
          y: {
            field: "value",
            type: "quantitative" as const,
            axis: { title, ...(small ? { format: "~e" } : {}) },
          },
          color: { field: "run", type: "nominal" as const, scale: armScales(domain).colour, legend },
          ...(domain.length <= COLOURS.length
            ? {}
            : { strokeDash: { field: "run", type: "nominal" as const, scale: { domain, range }, legend } }),
        },
      },
    ],
  }
}
