import type { TopLevelSpec } from "vega-lite"
import type { Records } from "./records.ts"

/** A figure as data: a Vega-Lite specification that contains its values. */
export interface Figure {
  /** its file name without extension */
  readonly name: string
  readonly title: string
  /** What is drawn, from how many runs, with which interval; without a spec, why there is none. */
  readonly caption: readonly string[]
  /** every value drawn */
  readonly data: Records
  /** null if there is nothing to draw */
  readonly spec: TopLevelSpec | null
}
