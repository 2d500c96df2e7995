import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { cohorts, plugin } from "../../core/api/plugin.ts"
import type { Cell, Row } from "../../core/artifacts/observations.ts"
import { Page } from "../../core/artifacts/page.ts"
import { escapeHtml } from "./shared/html.ts"
import { Observed, rowsEstimated } from "./shared/observed.ts"
import { type Field, toCsv } from "./shared/records.ts"

/** The page has at most this many rows; the CSV has all. */
const shownRows = 1000
const bytesPerRow = 100

const fieldOf = (cell: Cell | undefined): Field =>
  cell instanceof Float64Array ? cell.join(" ") : (cell ?? null)

const unique = (names: readonly string[]) => [...new Set(names)]

/** The rows of one or more probes, run by run; a run without rows has one line with its status. */
export const observationsTable = plugin({
  name: "observations-table",
  stage: "report",
  version: 1,
  module: import.meta.url,
  summary: "All observations of the given probes, row by row, as CSV and as a page",
  options: type({
    "+": "reject",
    /** The title of the page. */
    title: "string > 0 = 'Observations'",
  }),
  takes: { observations: cohorts(Observed) },
  gives: Page,
  usesBackend: false,
  estimate: (_options, { observations }) => {
    const rows = rowsEstimated(observations)
    return { artifact: {}, cost: cost({ memory: 10 * bytesPerRow * rows, disk: 2 * bytesPerRow * rows }) }
  },
  run: ({ options, inputs }) =>
    Effect.sync(() => {
      const entries = inputs.observations.flatMap(({ labels, members }) =>
        members.flatMap(({ seed, outcome }) => {
          const rows: readonly Row[] = outcome.status === "done" ? outcome.value : []
          return (rows.length === 0 ? [{}] : rows).map((row) => ({
            labels,
            seed,
            status: outcome.status,
            row,
          }))
        }),
      )
      const labelNames = unique(entries.flatMap(({ labels }) => Object.keys(labels)))
      const cellNames = unique(entries.flatMap(({ row }) => Object.keys(row)))
      const columns = [...labelNames, "seed", "status", ...cellNames]
      const rows = entries.map(({ labels, seed, status, row }) => [
        ...labelNames.map((name) => labels[name] ?? null),
        seed,
        status,
        ...cellNames.map((name) => fieldOf(row[name])),
      ])
      return new Map([
        ["index.html", pageOf(options.title, columns, rows)],
        ["observations.csv", toCsv({ columns, rows })],
      ])
    }),
})

const pageOf = (title: string, columns: readonly string[], rows: readonly (readonly Field[])[]) => {
  const line = (tag: "th" | "td", fields: readonly Field[]) =>
    `<tr>${fields.map((field) => `<${tag}>${escapeHtml(String(field ?? ""))}</${tag}>`).join("")}</tr>`
  const shown = rows.slice(0, shownRows).map((row) => line("td", row))
  const what =
    rows.length > shownRows ? `the first ${shownRows} of ${rows.length} rows` : `${rows.length} rows`
  return `<!doctype html>
<meta charset="utf-8">
<title>${escapeHtml(title)}</title>
<style>
body { font-family: system-ui, sans-serif; margin: 2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: 0.2rem 0.8rem; border-bottom: 1px solid #ddd; text-align: left }
</style>
<h1>${escapeHtml(title)}</h1>
<p>${what}; all are in <a href="observations.csv">observations.csv</a></p>
<table>
${[line("th", columns), ...shown].join("\n")}
</table>
`
}
