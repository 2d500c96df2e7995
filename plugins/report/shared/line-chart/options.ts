import { type } from "arktype"

const Wanted = type("string | number | boolean | null")

export const Options = type({
  "+": "reject",
  /** The title of the page. */
  title: "string > 0",
  /** The horizontal axis: a column of the rows, a label of the cohorts, or seed. */
  x: "string > 0",
  /** The vertical axis: a column of numbers. */
  y: "string > 0",
  /** What colours tell apart: a column, a label or seed. */
  "colour?": "string > 0",
  /** What has a panel for each of its values: a column, a label or seed. */
  "facet?": "string > 0",
  /** Draws only rows with this value, or one of these, by column or label: `{ block: "encoder", lr: [1e-5, 2e-5] }`. */
  where: type({ "[string]": Wanted.or(Wanted.array().atLeastLength(1)) })
    .describe("an object of values, or of lists of them, by column or label")
    .default(() => ({})),
  /**
   * What a line shows: the mean over seeds (and over checkpoints, where cohorts differ in the label `checkpoint`) with
   * its 95 % interval, or every run by itself.
   */
  lines: "'mean' | 'runs' = 'mean'",
  /** A logarithmic axis leaves out what is not above 0, and the caption says how much. */
  xScale: "'linear' | 'log' = 'linear'",
  /** As for `xScale`. */
  yScale: "'linear' | 'log' = 'linear'",
  /** Whether all panels share one vertical axis, or each has its own range. */
  yAxis: "'shared' | 'own' = 'shared'",
  /** The text under the horizontal axis, by default the name of its column. */
  "xTitle?": "string > 0",
  /** The text beside the vertical axis, by default the name of its column. */
  "yTitle?": "string > 0",
})
export type Options = typeof Options.infer
