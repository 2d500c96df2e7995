import type { Figure } from "./figure.ts"
import { escapeHtml } from "./html.ts"
import type { Table } from "./table.ts"

/** A section of the page: sentences, then tables and figures in reading order. */
export interface Section {
  readonly title: string
  readonly sentences?: readonly string[]
  readonly parts: readonly (Table | { readonly figure: Figure; readonly svg: string | null })[]
}

/** The report as one self-contained HTML page: styles and figures are embedded, and there is no script. */
export const toHtml = (report: {
  readonly title: string
  readonly headline: readonly string[]
  readonly sections: readonly Section[]
  /** where the numbers come from, by name */
  readonly facts: Readonly<Record<string, string>>
  /** names of the files next to the page */
  readonly files: readonly string[]
}): string =>
  htmlPage(
    report.title,
    `${list(report.headline)}
${report.sections.map(section).join("\n")}
<section>
<h2>Provenance</h2>
${facts(report.facts)}
<h3>Files of this report</h3>
<p>${report.files.map((file) => `<a href="${escapeHtml(encodeURI(file))}">${escapeHtml(file)}</a>`).join(" · ")}</p>
</section>`,
  )

/** A page of its own, with the report's styles. */
export const htmlPage = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${body}
</main>
</body>
</html>
`

const list = (lines: readonly string[]): string =>
  lines.length === 0 ? "" : `<ul>\n${lines.map((line) => `<li>${escapeHtml(line)}</li>`).join("\n")}\n</ul>`

export const section = ({ title, sentences = [], parts }: Section): string => `<section>
<h2>${escapeHtml(title)}</h2>
${list(sentences)}
${parts.map((part) => ("figure" in part ? figureBlock(part.figure, part.svg) : tableBlock(part))).join("\n")}
</section>`

const figureBlock = ({ name, title, caption }: Figure, svg: string | null): string => `<figure id="${name}">
${svg === null ? "" : `<div class="wide">${svg}</div>`}
<figcaption><strong>${escapeHtml(title)}.</strong> ${escapeHtml(caption.join(" "))}</figcaption>
</figure>`

const tableBlock = ({ name, title, columns, rows, notes }: Table): string => {
  const cell = (text: string, column: number): string => {
    const style = columns[column]?.align
    const of = style === undefined || style === "left" ? "" : ` class="${style}"`
    return column === 0
      ? `<th scope="row"${of}>${escapeHtml(text)}</th>`
      : `<td${of}>${escapeHtml(text)}</td>`
  }
  const row = (cells: readonly string[], i: number): string =>
    `<tr${i > 0 && cells[0] !== rows[i - 1]?.[0] ? ' class="next"' : ""}>${cells.map(cell).join("")}</tr>`
  const headings = columns.map(
    ({ heading, align }) =>
      `<th scope="col"${align === "right" ? ' class="right"' : ""}>${escapeHtml(heading)}</th>`,
  )
  const table = `<div class="wide"><table aria-labelledby="${name}-title">
<thead><tr>${headings.join("")}</tr></thead>
<tbody>
${rows.map(row).join("\n")}
</tbody>
</table></div>`
  return `<div id="${name}">
<h3 id="${name}-title">${escapeHtml(title)}</h3>
${rows.length === 0 ? "" : table}
<div class="notes">${notes.map((note) => `<p>${escapeHtml(note)}</p>`).join("")}</div>
</div>`
}

export const facts = (of: Readonly<Record<string, string>>): string =>
  `<table class="facts"><tbody>\n${Object.entries(of)
    .map(([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`)
    .join("\n")}\n</tbody></table>`

const STYLE = `
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1b1f24; --faint: #59636e; --line: #d0d7de; --link: #0550ae }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171b; --ink: #e6e9ed; --faint: #a3acb7; --line: #3a424c; --link: #79b8ff }
}
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, Helvetica, Arial, sans-serif }
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 60px }
h1 { font-size: 1.7rem; line-height: 1.25 }
h2 { font-size: 1.3rem; margin-top: 2.2em; border-bottom: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.6em 0 .5em }
a { color: var(--link) }
figure { margin: 1.5em 0 2em }
figure svg { display: block; max-width: 100%; height: auto }
figcaption, .notes { color: var(--faint); font-size: .875rem; max-width: 75ch }
figcaption { margin-top: .6em }
figcaption strong { color: var(--ink) }
.notes p { margin: .4em 0 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums }
th, td { padding: .25em .55em; text-align: left; vertical-align: top; font-weight: normal }
td, tbody th { white-space: nowrap }
thead th { border-bottom: 1px solid var(--ink); font-weight: 600; vertical-align: bottom }
tbody tr:last-child > * { border-bottom: 1px solid var(--line) }
tr.next > * { border-top: 1px solid var(--line) }
.right { text-align: right }
td.text, tbody th.text { white-space: normal; min-width: 14em }
.facts td { white-space: normal; overflow-wrap: anywhere }
@media print {
  :root { --ground: #ffffff; --ink: #000000; --faint: #333333; --line: #999999; --link: #000000; color-scheme: light }
  main { max-width: none; padding: 0 }
  figure, table { break-inside: avoid }
  h2, h3 { break-after: avoid }
  .wide { overflow: visible }
  table { font-size: 8pt }
  th, td { padding: .15em .4em }
}
`
