import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { type CohortTaken, cohorts, plugin, type RunContext } from "../../core/api/plugin.ts"
import type { Row } from "../../core/artifacts/observations.ts"
import { Page } from "../../core/artifacts/page.ts"
import { Run } from "../../core/artifacts/run.ts"
import { InvalidInput } from "../../core/io/decode.ts"
import { cohortsTable, runRecords } from "./claims/runs.ts"
import { claimsOption } from "./shared/claims/claim.ts"
import { confounderSentences } from "./shared/claims/confounders.ts"
import { designOf } from "./shared/claims/evidence.ts"
import { claimProblems, planAll, planConfounded } from "./shared/claims/plan.ts"
import { claimsFound, claimsHeadline, claimsJson, claimsSection } from "./shared/claims/report.ts"
import type { ReportSection } from "./shared/contents.ts"
import type { Figure } from "./shared/figure.ts"
import { choosePoints, plannedProblems } from "./shared/line-chart/choose.ts"
import { lineFigure } from "./shared/line-chart/figure.ts"
import { Options as Chart } from "./shared/line-chart/options.ts"
import { Observed, rowsEstimated } from "./shared/observed.ts"
import { materialsTable, methodsTable, settledFacts } from "./shared/provenance.ts"
import { toCsv } from "./shared/records.ts"
import { reportFiles } from "./shared/report.ts"
import { settingsOption, settingsTable } from "./shared/settings.ts"

const Options = type({
  "+": "reject",
  /** The title of the page. */
  title: "string > 0",
  /** What is claimed; the verdicts are at the top of the page. */
  claims: claimsOption,
  /** Charts of the observations, each with the options of `line-chart`, in the order shown. */
  charts: Chart.array().default(() => []),
  /** Where the numbers come from, by name: the model, the data. */
  provenance: type("Record<string, string>").default(() => ({})),
  /** Every setting, beside the paper's. */
  settings: settingsOption,
})
type Options = typeof Options.infer

const takes = { runs: cohorts(Run), observations: cohorts(Observed) }

/** Claims with their verdicts, and charts of what they are judged by. */
export const claimsPage = plugin({
  name: "claims",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary:
    "Claims with effects, intervals, tests and verdicts, and charts, as a page, JSON, SVG, CSV and Markdown",
  options: Options,
  takes,
  gives: Page,
  usesBackend: false,
  design: ({ claims }, { runs, observations }) => planAll(claims, designOf(runs, observations)),
  confounders: ({ claims }, { runs, observations }, differences) =>
    confounderSentences(planConfounded(claims, runs, { observations }, differences)),
  estimate: ({ claims, charts }, { runs, observations }) => {
    const problems = [
      ...claimProblems(claims, designOf(runs, observations)),
      ...charts.flatMap((chart) => {
        const drawn = observations.filter(({ members }) =>
          members.some(({ estimate: { columns } }) => columns.length === 0 || columns.includes(chart.y)),
        )
        // Where nothing has the column, what the others have helps to find the slip.
        return plannedProblems(chart, drawn.length === 0 ? observations : drawn).map(
          (problem) => `chart "${chart.title}": ${problem}`,
        )
      }),
    ]
    if (problems.length > 0) throw new InvalidInput({ what: "the claims page", problems })
    const rows = rowsEstimated(observations)
    return {
      artifact: {},
      cost: cost({ memory: 5e8 + 5000 * rows, disk: 5e5 + 500 * rows * (1 + charts.length) }),
    }
  },
  run: Effect.fn("claims")(function* ({
    options: { title, claims, charts, settings, provenance: facts },
    inputs: { runs, observations },
    backend,
    provenance,
    differences,
  }: RunContext<Options, typeof takes, unknown>) {
    const found = claimsFound(claims, { runs, observations: { observations } }, differences)
    const origin = yield* provenance
    const figures = yield* Effect.forEach(charts, (chart, i) => drawn(chart, i, observations))
    const table = cohortsTable(runs)
    const settingsShown = settingsTable(settings)
    const sections: readonly ReportSection[] = [
      claimsSection(found),
      { title: "Charts", parts: figures },
      { title: "Runs", parts: table === null ? [] : [table] },
      {
        title: "Settings and data",
        parts: [
          ...(settingsShown === null ? [] : [settingsShown]),
          materialsTable(origin),
          methodsTable(origin),
        ],
      },
    ]
    const report = {
      title,
      headline: claimsHeadline(found),
      sections: sections.filter(({ parts, sentences = [] }) => parts.length + sentences.length > 0),
      facts: { ...facts, ...settledFacts(origin, backend) },
    }
    const files = new Map([["claims.json", claimsJson(found)]])
    if (runs.length > 0) files.set("runs.csv", toCsv(runRecords(runs)))
    return yield* reportFiles(report, origin, files)
  }),
})

/** Of several probes, only those that observe what is drawn. */
const drawn = Effect.fnUntraced(function* (
  chart: typeof Chart.infer,
  index: number,
  observations: readonly CohortTaken<readonly Row[]>[],
) {
  const has = (row: Row) => Object.hasOwn(row, chart.y)
  const of = observations.filter(({ members }) =>
    members.some(({ outcome }) => outcome.status === "done" && outcome.value.some(has)),
  )
  const figure = lineFigure(chart, yield* choosePoints(chart, of))
  return { ...figure, name: `chart-${index + 1}` } satisfies Figure
})
