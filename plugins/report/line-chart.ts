import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { cohorts, plugin, type RunContext } from "../../core/api/plugin.ts"
import { Page } from "../../core/artifacts/page.ts"
import { plural } from "../../core/io/format.ts"
import { choosePoints, type Missing, plannedProblems, refused } from "./shared/line-chart/choose.ts"
import { lineFigure } from "./shared/line-chart/figure.ts"
import { Options } from "./shared/line-chart/options.ts"
import { Observed, rowsEstimated } from "./shared/observed.ts"
import { settledFacts } from "./shared/provenance.ts"
import { reportFiles } from "./shared/report.ts"

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
    provenance,
  }: RunContext<Options, typeof takes, unknown>) {
    const chosen = yield* choosePoints(options, inputs.observations)
    const origin = yield* provenance
    const report = {
      title: options.title,
      headline: [
        `${plural(chosen.points.length, "observation")} of ${plural(chosen.runs, "run")}.`,
        ...missingSentences(chosen.missing),
      ],
      sections: [{ title: `${options.y} against ${options.x}`, parts: [lineFigure(options, chosen)] }],
      facts: settledFacts(origin, backend),
    }
    return yield* reportFiles(report, origin)
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
