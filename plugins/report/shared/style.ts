import type { Config } from "vega-lite"

/** The page's text colour, so that an embedded figure suits the page's light or dark background. */
export const INK = "currentColor"

/** Background of a panel whose run failed: visibly grey both on white and on black. */
export const FAILED_GROUND = { color: "#808080", opacity: 0.28 }

/**
 * Okabe and Ito's palette, distinguishable with any colour vision, without its yellow (too pale on white); the first
 * arm has ink instead of its black. Shapes distinguish the arms as well: with 7 colours and 6 shapes, 42 arms differ.
 */
export const COLOURS = [INK, "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#0072B2"]
/** Dashes of lines, the first of them solid: with 7 colours, 28 lines differ. */
export const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]]
const SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross"]

/** Scales that give each arm the same colour and shape in every figure, whichever arms that figure shows. */
export const armScales = (arms: readonly string[]) => ({
  colour: { domain: [...arms], range: arms.map((_, i) => COLOURS[i % COLOURS.length]!) },
  shape: { domain: [...arms], range: arms.map((_, i) => SHAPES[i % SHAPES.length]!) },
})

/** Viridis without its ends, which vanish on a white and on a black background. */
export const SEQUENTIAL = { name: "viridis" as const, extent: [0.1, 0.95] }

export const CONFIG: Config = {
  background: "transparent",
  font: "Helvetica, Arial, sans-serif",
  // The figure as a whole has a title and a description (svg.ts), rather than each of thousands of marks.
  aria: false,
  axis: {
    labelColor: INK,
    titleColor: INK,
    gridColor: INK,
    gridOpacity: 0.12,
    domainColor: INK,
    domainOpacity: 0.5,
    tickColor: INK,
    tickOpacity: 0.5,
    labelFontSize: 11,
    titleFontSize: 12,
    titleFontWeight: "normal",
  },
  legend: {
    labelColor: INK,
    titleColor: INK,
    labelFontSize: 11,
    titleFontSize: 12,
    titleFontWeight: "normal",
  },
  header: {
    labelColor: INK,
    titleColor: INK,
    titleFontSize: 12,
    titleFontWeight: "normal",
    labelFontSize: 12,
    titlePadding: 4,
    labelPadding: 14,
  },
  view: { stroke: null },
}
