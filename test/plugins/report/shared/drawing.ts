/** Reads back what an SVG drawn by Vega shows, to compare it with the data. */
export interface Mark {
  /** pixels inside the panel, y downwards */
  readonly x: number
  readonly y: number
  readonly attributes: Readonly<Record<string, string>>
  readonly text: string
}

/** The marks of every group of that class (`mark-symbol role-mark means_marks`), one list per group. */
export const marks = (svg: string, className: string): readonly (readonly Mark[])[] =>
  [...svg.matchAll(new RegExp(`<g class="[^"]*\\b${className}"[^>/]*(?:/>|>(.*?)</g>)`, "gs"))].map(
    ([, inside]) =>
      [...(inside ?? "").matchAll(/<(?:path|text|line)( [^>]*?)(?:\/>|>([^<]*)<)/g)].map(([, tag, text]) => {
        const attributes = Object.fromEntries(
          [...tag!.matchAll(/ ([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name!, value!]),
        )
        const position = /translate\(([^)]*)\)/.exec(attributes.transform ?? "")?.[1] ?? "0,0"
        const [x, y] = position.split(",").map(Number)
        return { x: x!, y: y!, attributes, text: text ?? "" }
      }),
  )

/** The pixel of a value, from the ticks and labels of an axis (0: horizontal, 1: vertical). */
export const axisScale = (svg: string, axis: 0 | 1): ((value: number) => number) => {
  const along = axis === 0 ? "x" : "y"
  const ticks = marks(svg, "role-axis-tick")[axis]!.map((tick) => tick[along])
  const values = marks(svg, "role-axis-label")[axis]!.map(({ text }) => Number(text))
  const pixelsPerUnit = (ticks[ticks.length - 1]! - ticks[0]!) / (values[values.length - 1]! - values[0]!)
  return (value) => ticks[0]! + pixelsPerUnit * (value - values[0]!)
}

/** Width and height of the first panel in pixels. */
export const panelSize = (svg: string): readonly [width: number, height: number] => {
  for (const [, width, height] of svg.matchAll(/class="background"[^>]* d="M0,0h(\d+)v(\d+)h/g)) {
    if (Number(width) > 0 && Number(height) > 0) return [Number(width), Number(height)]
  }
  throw new Error("the drawing has no panel")
}
