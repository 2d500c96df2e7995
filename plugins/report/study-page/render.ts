import { Effect } from "effect"
import type { Figure } from "../shared/figure.ts"
import { type Section, toHtml } from "../shared/page.ts"
import { toCsv } from "../shared/records.ts"
import { drawSvg, standalone } from "../shared/svg.ts"
import { metricFigure } from "./figures/metric.ts"
import { rankBeforeFigure } from "./figures/rank-before.ts"
import { rankDuringFigure } from "./figures/rank-during.ts"
import { trajectoryFigure } from "./figures/trajectory.ts"
import { headline } from "./headline.ts"
import { toMarkdown } from "./markdown.ts"
import { observationRecords } from "./observation-records.ts"
import { comparisonsOf } from "./statistics/paired.ts"
import { layerRanksOf, modelRanksOf } from "./statistics/rank.ts"
import { stabilityOf } from "./statistics/stability.ts"
import { armsOf, finitePart, type Study } from "./study.ts"
import { comparisonTable } from "./tables/comparison.ts"
import { rankTable } from "./tables/rank.ts"
import { stabilityTable } from "./tables/stability.ts"
import { unfinishedTable } from "./tables/unfinished.ts"

/**
 * The report of a study, complete or not: a page, a Markdown summary, each figure as SVG and as a Vega-Lite
 * specification, each table and the data behind each figure as CSV. For a figure without data the page has a sentence
 * instead of an SVG. The same study gives the same bytes.
 *
 * @returns the files' contents by relative path
 * @throws FigureError if a figure cannot be drawn
 */
export const renderStudy = Effect.fn("renderStudy")(function* (given: Study) {
  const { study, leftOut } = finitePart(given)
  const arms = armsOf(study)
  const cohorts = stabilityOf(study)
  const models = modelRanksOf(study)
  const unfinished = unfinishedTable(study)

  const stability = stabilityTable(cohorts)
  const comparisons = comparisonTable(comparisonsOf(cohorts))
  const ranks = rankTable(models)
  const tables = [stability, comparisons, ...(unfinished === null ? [] : [unfinished]), ranks]

  const draw = Effect.fnUntraced(function* (figure: Figure) {
    const { name, title, caption, spec } = figure
    return { figure, svg: spec === null ? null : yield* drawSvg(name, title, caption.join(" "), spec) }
  })
  const metric = yield* draw(metricFigure(arms, cohorts))
  const trajectory = yield* draw(trajectoryFigure(study))
  const before = yield* draw(rankBeforeFigure(arms, layerRanksOf(study)))
  const during = yield* draw(rankDuringFigure(study))
  const figures = [metric, trajectory, before, during]

  const files = new Map<string, string>()
  for (const { figure, svg } of figures) {
    files.set(`${figure.name}.csv`, toCsv(figure.data))
    if (svg === null) continue
    files.set(`${figure.name}.svg`, standalone(svg))
    files.set(`${figure.name}.vl.json`, `${JSON.stringify(figure.spec)}\n`)
  }
  for (const { name, data } of tables) files.set(`${name}.csv`, toCsv(data))
  for (const [name, records] of observationRecords(study)) files.set(`${name}.csv`, toCsv(records))

  const { title, provenance } = study
  const lines = [...headline(cohorts, models), ...leftOut]
  files.set(
    "summary.md",
    toMarkdown({ title, headline: lines, tables, figures: figures.map(({ figure }) => figure), provenance }),
  )
  const sections: readonly Section[] = [
    {
      title: "Stability",
      parts: [metric, stability, comparisons, ...(unfinished === null ? [] : [unfinished])],
    },
    { title: "Plasticity", parts: [ranks, before, during] },
    { title: "Trajectory", parts: [trajectory] },
  ]
  files.set(
    "index.html",
    toHtml({ title, headline: lines, sections, provenance, files: [...files.keys()].sort() }),
  )
  return files
})
