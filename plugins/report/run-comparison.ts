import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { cohorts, plugin, type RunContext } from "../../core/api/plugin.ts"
import { Page } from "../../core/artifacts/page.ts"
import { Run } from "../../core/artifacts/run.ts"
import { curveFigures, curveRecords } from "./run-comparison/curves.ts"
import { headline, resultsTable } from "./run-comparison/results.ts"
import { namedRuns } from "./run-comparison/runs.ts"
import { settledFacts } from "./shared/provenance.ts"
import { toCsv } from "./shared/records.ts"
import { reportFiles } from "./shared/report.ts"

const Options = type({
  "+": "reject",
  /** The title of the page. */
  title: "string > 0",
  /** A step that the figures mark: where a branch leaves its run. */
  "at?": "number.integer >= 0",
})

const takes = { runs: cohorts(Run) }

/** Runs side by side, update by update: what a branch changed, or any others of the same task. */
export const runComparison = plugin({
  name: "run-comparison",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "Losses, gradient norms, learning rates and results of runs, as a page, SVG, CSV and Vega-Lite",
  options: Options,
  takes,
  gives: Page,
  usesBackend: false,
  estimate: (_options, { runs }) => {
    const updates = runs
      .flatMap(({ members }) => members)
      .reduce((sum, { estimate: { steps } }) => sum + steps, 0)
    return { artifact: {}, cost: cost({ memory: 5e8 + 2000 * updates, disk: 5e5 + 600 * updates }) }
  },
  run: Effect.fn("run-comparison")(function* ({
    options: { title, at },
    inputs,
    backend,
    provenance,
  }: RunContext<typeof Options.infer, typeof takes, unknown>) {
    const runs = namedRuns(inputs.runs)
    const origin = yield* provenance
    const report = {
      title,
      headline: headline(runs),
      sections: [
        { title: "Results", parts: [resultsTable(runs)] },
        { title: "Update by update", parts: curveFigures(runs, at) },
      ],
      facts: settledFacts(origin, backend),
    }
    return yield* reportFiles(
      report,
      yield* provenance,
      new Map([["updates.csv", toCsv(curveRecords(runs))]]),
    )
  }),
})
