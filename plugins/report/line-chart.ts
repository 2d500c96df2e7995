import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { cohorts, plugin, type RunContext } from "../../core/api/plugin.ts"
import { Page } from "../../core/artifacts/page.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { plural } from "../../core/io/format.ts"
import { version } from "../../core/io/project.ts"
import { choosePoints, type Missing, plannedProblems, refused } from "./shared/line-chart/choose.ts"
import { lineFigure } from "./shared/line-chart/figure.ts"
import { Options } from "./shared/line-chart/options.ts"
import { Observed, rowsEstimated } from "./shared/observed.ts"
import { toHtml } from "./shared/page.ts"
import { toCsv } from "./shared/records.ts"
import { drawSvg, standalone } from "./shared/svg.ts"

const takes = { observations: cohorts(Observed) }

/** One chart of the observations of any probe: means over seeds with their intervals, or single runs. */
export const lineChart = plugin({
  name: "line-chart",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "A line chart of any observations, by colour and panel, as a page, SVG, CSV and Vega-Lite",
  options: Options,
  takes,
  gives: Page,
  usesBackend: false,
  estimate: (options, { observations }) => {
    const problems = plannedProblems(options, observations)
    if (problems.length > 0) throw refused(options, problems)
    const rows = rowsEstimated(observations)
    return { artifact: {}, cost: cost({ memory: 5e8 + 1000 * rows, disk: 2e5 + 500 * rows }) }
  },
  run: Effect.fn("line-chart")(function* ({
    options,
    inputs,
    backend,
  }: RunContext<Options, typeof takes, unknown>) {
    const chosen = yield* choosePoints(options, inputs.observations)
    const figure = lineFigure(options, chosen)
    const { name, title, caption, data, spec } = figure
    const svg =
      spec === null
        ? null
        : yield* drawSvg(name, title, caption.join(" "), spec).pipe(
            Effect.catchTag("FigureError", (error) =>
              Effect.fail(new InvalidInput({ what: "line-chart", problems: [error.message] })),
            ),
          )
    const files = new Map([[`${name}.csv`, toCsv(data)]])
    if (svg !== null) {
      files.set(`${name}.svg`, standalone(svg))
      files.set(`${name}.vl.json`, `${JSON.stringify(spec)}\n`)
    }
    const page = toHtml({
      title,
      headline: [
        `${plural(chosen.points.length, "observation")} of ${plural(chosen.runs, "run")}.`,
        ...missingSentences(chosen.missing),
      ],
      sections: [{ title: `${options.y} against ${options.x}`, parts: [{ figure, svg }] }],
      facts: { backend, software: `kasosei ${version}` },
      files: [...files.keys()].sort(),
    })
    return files.set("index.html", page)
  }),
})

const mostListed = 10

const missingSentences = (missing: readonly Missing[]): readonly string[] => {
  const listed = missing
    .slice(0, mostListed)
    .map(({ run, status, reason }) => `${run}: ${status} (${reason})`)
  return missing.length > mostListed
    ? [...listed, `and ${missing.length - mostListed} more without rows`]
    : listed
}
