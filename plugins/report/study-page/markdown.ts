import type { Figure } from "../shared/figure.ts"
import type { Table } from "../shared/table.ts"

/** The report as Markdown (with GitHub's tables): headline, tables, figure captions, provenance. */
export const toMarkdown = (report: {
  readonly title: string
  readonly headline: readonly string[]
  readonly tables: readonly Table[]
  readonly figures: readonly Figure[]
  readonly provenance: Readonly<Record<string, string>>
}): string =>
  [
    `# ${escapeMarkdown(report.title)}`,
    bullets(report.headline),
    ...report.tables.map(tableSection),
    "## Figures",
    bullets(
      report.figures.map(
        ({ name, title, caption, spec }) =>
          `${title}${spec === null ? "" : ` (${name}.svg)`}: ${caption.join(" ")}`,
      ),
    ),
    "## Provenance",
    bullets(Object.entries(report.provenance).map(([name, value]) => `${name}: ${value}`)),
  ]
    .filter((block) => block !== "")
    .map((block) => `${block}\n`)
    .join("\n")

const bullets = (lines: readonly string[]): string =>
  lines.map((line) => `- ${escapeMarkdown(line)}`).join("\n")

const tableSection = ({ title, columns, rows, notes }: Table): string =>
  [
    `## ${escapeMarkdown(title)}\n`,
    ...(rows.length === 0
      ? []
      : [
          tableRow(columns.map(({ heading }) => heading)),
          `|${columns.map(({ align }) => (align === "right" ? "---:" : ":---")).join("|")}|`,
          ...rows.map(tableRow),
          "",
        ]),
    bullets(notes),
  ].join("\n")

const tableRow = (cells: readonly string[]): string => `| ${cells.map(escapeMarkdown).join(" | ")} |`

/** Escapes whatever Markdown or HTML would interpret; a line break would end a table row. */
const escapeMarkdown = (text: string): string =>
  text.replaceAll(/[\\`*_[\]|<>&#~]/g, (character) => `\\${character}`).replaceAll(/\s*[\r\n]+\s*/g, " ")
