import type { TopLevelSpec } from "vega-lite"
import type { Records } from "../shared/records.ts"

/** A figure as data: a Vega-Lite specification with its values inside, which a page draws still or live. */
export interface Figure {
  /** its file name, without ending */
  readonly name: string
  readonly title: string
  /** What is drawn, of how many runs, with which interval; where there is no spec, why. */
  readonly caption: readonly string[]
  /** every value drawn */
  readonly data: Records
  /** null where there is nothing to draw */
  readonly spec: TopLevelSpec | null
}
