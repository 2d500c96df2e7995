import { Effect } from "effect"
import type { Provenance } from "../../../core/api/provenance.ts"
import { InvalidInput } from "../../../core/io/decode.ts"
import type { Report } from "./contents.ts"
import type { Figure } from "./figure.ts"
import { toMarkdown } from "./markdown.ts"
import { toHtml } from "./page.ts"
import { provenancePages } from "./provenance.ts"
import { toCsv } from "./records.ts"
import { drawSvg, standalone } from "./svg.ts"

/**
 * The files of a report: a page, a Markdown summary, each figure as SVG and as a Vega-Lite specification, each table
 * and the data behind each figure as CSV, and where it all comes from. A figure without data has a sentence instead of
 * an SVG. The same report gives the same bytes, but for its provenance.
 *
 * @param more other files, which the page lists too
 * @throws InvalidInput if a figure cannot be drawn
 */
export const reportFiles = Effect.fn("reportFiles")(
  function* (report: Report, provenance: Provenance, more: ReadonlyMap<string, string> = new Map()) {
    const files = new Map(more)
    const drawn = new Map<Figure, string | null>()
    for (const part of report.sections.flatMap(({ parts }) => parts)) {
      files.set(`${part.name}.csv`, toCsv(part.data))
      if (!("spec" in part)) continue
      const { name, title, caption, spec } = part
      const svg = spec === null ? null : yield* drawSvg(name, title, caption.join(" "), spec)
      drawn.set(part, svg)
      if (svg === null) continue
      files.set(`${name}.svg`, standalone(svg))
      files.set(`${name}.vl.json`, `${JSON.stringify(spec)}\n`)
    }
    files.set("summary.md", toMarkdown(report))
    for (const [name, content] of provenancePages(report.title, provenance)) files.set(name, content)
    const { title, headline, facts } = report
    const sections = report.sections.map((section) => ({
      ...section,
      parts: section.parts.map((part) => ("spec" in part ? { figure: part, svg: drawn.get(part)! } : part)),
    }))
    files.set("index.html", toHtml({ title, headline, sections, facts, files: [...files.keys()].sort() }))
    return files
  },
  Effect.catchTag("FigureError", ({ message }) =>
    Effect.fail(new InvalidInput({ what: "the report", problems: [message] })),
  ),
)
