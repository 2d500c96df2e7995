import { Data, Effect } from "effect"
import type { TopLevelSpec } from "vega-lite"
import { escapeHtml } from "./html.ts"

export class FigureError extends Data.TaggedError("FigureError")<{
  readonly figure: string
  readonly cause: unknown
}> {
  override get message() {
    const found = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `cannot draw ${this.figure}: ${found}. This is a bug in kasosei or in Vega-Lite: please report it`
  }
}

/** Control characters that a file of XML may not have: no program would open it. */
const notXml = /[^\P{Cc}\t\n\r]/gu

/**
 * Draws a specification as SVG text to embed in a page: transparent, in the page's text colour.
 *
 * @param name prefix of every id inside, so that several figures can share a page
 * @throws FigureError if Vega-Lite cannot draw it
 */
export const drawSvg = Effect.fn("drawSvg")(
  (name: string, title: string, description: string, spec: TopLevelSpec) =>
    Effect.tryPromise({
      try: async () => {
        // Vega takes a second to load, so it is loaded only to draw a figure.
        const [vega, vegaLite] = await Promise.all([import("vega"), import("vega-lite")])
        const view = new vega.View(vega.parse(vegaLite.compile(spec).spec), {
          renderer: "none",
          logLevel: vega.Error,
        })
        const svg = await view.toSVG()
        view.finalize()
        return named(name, title, description, svg).replaceAll(notXml, "\ufffd")
      },
      catch: (cause) => new FigureError({ figure: name, cause }),
    }),
)

/** The same drawing as a separate file: dark on white. */
export const standalone = (svg: string): string =>
  svg.replace(
    /^<svg [^>]*>/,
    (tag) => `${tag.slice(0, -1)} color="#1b1f24"><rect width="100%" height="100%" fill="#ffffff"/>`,
  )

/** Adds title and description, and renames ids, because Vega's numbering continues from figure to figure. */
const named = (name: string, title: string, description: string, svg: string): string => {
  const ids = new Map<string, string>()
  for (const [, id] of svg.matchAll(/ id="([^"]+)"/g)) ids.set(id!, `${name}-${ids.size + 1}`)
  const renamed = svg.replaceAll(/( id="|url\(#)([^")]+)/g, (whole, before: string, id: string) =>
    ids.has(id) ? before + ids.get(id)! : whole,
  )
  const label = `<title id="${name}-title">${escapeHtml(title)}</title><desc id="${name}-desc">${escapeHtml(description)}</desc>`
  return renamed.replace(
    /^<svg [^>]*>/,
    (tag) => `${tag.slice(0, -1)} role="img" aria-labelledby="${name}-title ${name}-desc">${label}`,
  )
}
