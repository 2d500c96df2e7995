import { type } from "arktype"

export const Options = type({
  "+": "reject",
  /** The title of the page. */
  title: "string > 0",
  /** The horizontal axis: a label of the cohorts whose values are numbers above 0. */
  x: "string > 0 = 'batch'",
  /** The vertical axis: likewise. */
  y: "string > 0 = 'lr'",
  /** A label whose values have a panel each. */
  "facet?": "string > 0",
  /** The column of the observations to show; by default it is the runs' metric. */
  "column?": "string > 0",
  /**
   * Takes only rows with these values in these columns: `{ block: "encoder", step: "last" }`. A run's first and last
   * steps are `"first"` and `"last"`.
   */
  where: type({ "[string]": "string | number | boolean | null" })
    .describe("an object of values by column")
    .default(() => ({})),
  /** Scaling laws y ∝ xᵖ to draw through the best cell of the least x: their exponents p by name. */
  laws: type({ "[string]": "number" })
    .describe("an object of exponents by name")
    .default(() => ({ linear: 1, "square root": 0.5 })),
})
export type Options = typeof Options.infer
