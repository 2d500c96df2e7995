import { plural } from "../../../../core/io/format.ts"
import { checkpointsOf } from "../../shared/statistics/cells.ts"
import { FAILED_GROUND, INK } from "../../shared/style.ts"
import type { MetricWords } from "../metric.ts"
import { distinct, keyOfRun, type RunKey } from "../study.ts"

/** A panel of a figure that shows one run for each arm and learning rate. */
export interface Panel {
  readonly arm: string
  readonly lr: number
  /** of the run shown: the lowest observed, and among its runs the lowest seed */
  readonly checkpoint: number | null
  /** null if no run was observed */
  readonly seed: number | null
  readonly failed: boolean | null
  readonly note: string
}

/** Rows are the observed arms, in the order of `arms`; columns are the learning rates, ascending. */
export const panelsOf = (
  arms: readonly string[],
  records: readonly RunKey[],
  isFailed: (run: RunKey) => boolean | null,
): readonly Panel[] => {
  const learningRates = distinct(records, ({ lr }) => lr)
  const rows = arms.filter((arm) => records.some((record) => record.arm === arm))
  return rows.flatMap((arm) =>
    learningRates.map((lr) => {
      const there = records.filter((record) => record.arm === arm && record.lr === lr)
      const checkpoint = checkpointsOf(there)[0]
      if (checkpoint === undefined)
        return { arm, lr, checkpoint: null, seed: null, failed: null, note: "not observed" }
      const [seed] = distinct(
        there.filter((record) => record.checkpoint === checkpoint),
        (record) => record.seed,
      )
      const failed = isFailed({ arm, checkpoint, lr, seed: seed! })
      const outcome = failed === null ? ", outcome unknown" : failed ? ", failed" : ""
      const model = checkpoint === null ? "" : `checkpoint ${checkpoint}, `
      return { arm, lr, checkpoint, seed: seed!, failed, note: `${model}seed ${seed}${outcome}` }
    }),
  )
}

/** Whether a record belongs to the run that its panel shows. */
export const shownBy = (panels: readonly Panel[]): ((record: RunKey) => boolean) => {
  const shown = new Set(
    panels.flatMap(({ seed, ...run }) => (seed === null ? [] : [keyOfRun({ ...run, seed })])),
  )
  return (record) => shown.has(keyOfRun(record))
}

/**
 * Columns by learning rate, rows by arm: `lr` and `arm` of a record of the figure's data determine its panel.
 *
 * @param rowTitle title of the vertical axis of all panels
 */
export const facetOf = (panels: readonly Panel[], rowTitle: string | null) => ({
  row: {
    field: "arm",
    type: "nominal" as const,
    sort: [...new Set(panels.map(({ arm }) => arm))],
    header: { title: rowTitle, labelOrient: "left" as const },
  },
  column: {
    field: "lr",
    type: "ordinal" as const,
    header: { title: "peak learning rate", format: "~e", formatType: "number" },
  },
})

/** The width of a panel in pixels: few panels and many both fill the width of the page. */
export const panelWidth = (panels: readonly Panel[]): number => {
  const columns = new Set(panels.map(({ lr }) => lr)).size
  return Math.round(Math.min(260, Math.max(130, 780 / columns)))
}

/** The grey background of a panel whose run failed, from the records whose `part` is "panel". */
export const failedGround = {
  name: "failed",
  transform: [{ filter: "datum.part === 'panel' && datum.failed === true" }],
  mark: { type: "rect" as const, ...FAILED_GROUND },
  encoding: {
    x: { value: 0 },
    x2: { value: "width" as const },
    y: { value: 0 },
    y2: { value: "height" as const },
  },
}

/** The note above a panel: which run it shows. */
export const panelNote = {
  name: "notes",
  transform: [{ filter: "datum.part === 'panel'" }],
  mark: {
    type: "text" as const,
    align: "left" as const,
    baseline: "bottom" as const,
    dy: -2,
    fontSize: 9,
    color: INK,
    opacity: 0.8,
  },
  encoding: { x: { value: 0 }, y: { value: 0 }, text: { field: "note", type: "nominal" as const } },
}

/** Pixels between panels, with room for the note. */
export const PANEL_SPACING = { row: 20, column: 10 }

/** Which runs are shown, of how many; how failures are marked. */
export const panelCaption = (
  panels: readonly Panel[],
  records: readonly RunKey[],
  { baseline }: MetricWords,
): readonly string[] => {
  const observed = panels.filter(({ seed }) => seed !== null)
  const runs = new Set(records.map(keyOfRun)).size
  const absent = panels.length - observed.length
  const unknown = observed.filter(({ failed }) => failed === null).length
  return [
    runs === observed.length
      ? `One run per panel, ${plural(runs, "run")} in all; its seeds are above each panel.`
      : `${runs} runs were observed, of which ${observed.length} are shown: in each panel the run with the lowest seed${observed.some(({ checkpoint }) => checkpoint !== null) ? ", from the checkpoint with the lowest," : ","} given above it.`,
    `Grey background: the run failed (no better than the ${baseline}, or diverged).`,
    ...(unknown === 0 ? [] : [`The outcome of ${plural(unknown, "shown run")} is unknown.`]),
    ...(absent === 0 ? [] : [`${plural(absent, "panel")} without an observed run.`]),
  ]
}
