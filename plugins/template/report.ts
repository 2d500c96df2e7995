import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { cohorts, type Outcome, plugin } from "../../core/api/plugin.ts"
import { Page } from "../../core/artifacts/page.ts"
import { Run, type RunTaken, scoreOf } from "../../core/artifacts/run.ts"
import { escapeHtml } from "../report/shared/html.ts"
import { type Field, toCsv } from "../report/shared/records.ts"

/** Members of a cohort that have no run are listed too, with their status. */
const fieldsOf = (outcome: Outcome<RunTaken>): readonly Field[] => {
  if (outcome.status !== "done") return [outcome.status, null, null, null]
  const { correct, majority, total } = scoreOf(outcome.value)
  return [outcome.status, correct, majority, total]
}

/**
 * How many dev examples each run predicted correctly, as `correct.csv`. To draw observations of a probe, no plugin is
 * needed: `line-chart` does that.
 */
export const templateReport = plugin({
  name: "template-report",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "Correct predictions of every run, as CSV",
  options: type({ "+": "reject", title: "string > 0 = 'Correct predictions'" }),
  takes: { runs: cohorts(Run) },
  gives: Page,
  usesBackend: false,
  estimate: (_options, { runs }) => ({ artifact: {}, cost: cost({ disk: 1000 + 100 * runs.length }) }),
  run: ({ options, inputs }) =>
    Effect.sync(() => {
      const names = [...new Set(inputs.runs.flatMap(({ labels }) => Object.keys(labels)))]
      const csv = toCsv({
        columns: [...names, "seed", "status", "correct", "majority", "examples"],
        rows: inputs.runs.flatMap(({ labels, members }) =>
          members.map(({ seed, outcome }) => [
            ...names.map((name) => labels[name] ?? null),
            seed,
            ...fieldsOf(outcome),
          ]),
        ),
      })
      const title = escapeHtml(options.title)
      const page = `<!doctype html>
<meta charset="utf-8">
<title>${title}</title>
<h1>${title}</h1>
<p><a href="correct.csv">correct.csv</a></p>
<pre>${escapeHtml(csv)}</pre>
`
      return new Map([
        ["index.html", page],
        ["correct.csv", csv],
      ])
    }),
})
