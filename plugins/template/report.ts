import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { cohorts, type Outcome, plugin } from "../../core/api/plugin.ts"
import { quotient } from "../../core/artifacts/metrics/ratio.ts"
import { Page } from "../../core/artifacts/page.ts"
import { Run, type RunTaken, scoreOf } from "../../core/artifacts/run.ts"
import { escapeHtml } from "../report/shared/html.ts"
import { type Field, toCsv } from "../report/shared/records.ts"

/** A row for each metric of a run; members of a cohort that have no run are listed too, with their status. */
const rowsOf = (outcome: Outcome<RunTaken>): readonly (readonly Field[])[] =>
  outcome.status === "done"
    ? scoreOf(outcome.value).map(({ metric, value, baseline }) => [
        outcome.status,
        metric,
        quotient(value),
        quotient(baseline),
      ])
    : [[outcome.status, null, null, null]]

/**
 * The metrics of every run beside those of the baseline, as `metrics.csv`. To draw observations of a probe, no plugin
 * is needed: `line-chart` does that.
 */
export const templateReport = plugin({
  name: "template-report",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "Metrics of every run, as CSV",
  options: type({ "+": "reject", title: "string > 0 = 'Metrics'" }),
  takes: { runs: cohorts(Run) },
  gives: Page,
  usesBackend: false,
  estimate: (_options, { runs }) => {
    const count = runs.reduce((sum, { members }) => sum + members.length, 0)
    return { artifact: {}, cost: cost({ disk: 1000 + 200 * count }) }
  },
  run: ({ options, inputs }) =>
    Effect.sync(() => {
      const names = [...new Set(inputs.runs.flatMap(({ labels }) => Object.keys(labels)))]
      const csv = toCsv({
        columns: [...names, "seed", "status", "metric", "value", "baseline"],
        rows: inputs.runs.flatMap(({ labels, members }) =>
          members.flatMap(({ seed, outcome }) =>
            rowsOf(outcome).map((row) => [...names.map((name) => labels[name] ?? null), seed, ...row]),
          ),
        ),
      })
      const title = escapeHtml(options.title)
      const page = `<!doctype html>
<meta charset="utf-8">
<title>${title}</title>
<h1>${title}</h1>
<p><a href="metrics.csv">metrics.csv</a></p>
<pre>${escapeHtml(csv)}</pre>
`
      return new Map([
        ["index.html", page],
        ["metrics.csv", csv],
      ])
    }),
})
