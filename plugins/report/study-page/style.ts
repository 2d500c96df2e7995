import type { Config } from "vega-lite"

/** The colour of the page's text: a figure inside the page follows its light or dark ground. */
export const INK = "currentColor"

/** Ground of a panel whose run failed: grey on white as well as on black. */
export const FAILED_GROUND = { color: "#808080", opacity: 0.28 }

/**
 * Okabe and Ito's palette, told apart with any colour vision, without its yellow (too pale on white); ink, its
 * black, goes to the first arm. Shapes tell the arms apart once more; colours and shapes repeat out of step, so
 * that 42 arms differ.
 */
const COLOURS = [INK, "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#0072B2"]
const SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross"]

/** Scales that give each arm the same colour and shape in every figure, whichever arms that figure shows. */
export const armScales = (arms: readonly string[]) => ({
  colour: { domain: [...arms], range: arms.map((_, i) => COLOURS[i % COLOURS.length]!) },
  shape: { domain: [...arms], range: arms.map((_, i) => SHAPES[i % SHAPES.length]!) },
})

/** Viridis without its ends, which vanish on a white and on a black ground. */
export const SEQUENTIAL = { name: "viridis" as const, extent: [0.1, 0.95] }

export const CONFIG: Config = {
  background: "transparent",
  font: "Helvetica, Arial, sans-serif",
  // One title and description stand for the figure (svg.ts), not one for each of thousands of marks.
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
