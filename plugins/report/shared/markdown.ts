import type { Report } from "./contents.ts"
import type { Figure } from "./figure.ts"
import type { Table } from "./table.ts"

/** The report as Markdown (with GitHub's tables): headline, tables, figure captions, provenance. */
export const toMarkdown = ({ title, headline, sections, facts }: Report): string =>
  [
    `# ${escapeMarkdown(title)}`,
    bullets(headline),
    ...sections.flatMap((section) => [
      `## ${escapeMarkdown(section.title)}`,
      bullets(section.sentences ?? []),
      ...section.parts.map((part) => ("spec" in part ? figureLine(part) : tableBlock(part))),
    ]),
    "## Provenance",
    bullets(Object.entries(facts).map(([name, value]) => `${name}: ${value}`)),
  ]
    .filter((block) => block !== "")
    .map((block) => `${block}\n`)
    .join("\n")

const bullets = (lines: readonly string[]): string =>
  lines.map((line) => `- ${escapeMarkdown(line)}`).join("\n")

const figureLine = ({ name, title, caption, spec }: Figure): string =>
  bullets([`${title}${spec === null ? "" : ` (${name}.svg)`}: ${caption.join(" ")}`])

const tableBlock = ({ title, columns, rows, notes }: Table): string =>
  [
    `### ${escapeMarkdown(title)}\n`,
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
