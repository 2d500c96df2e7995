import type { Records } from "./records.ts"

/** A table for readers, and the same numbers in full as data. */
export interface Table {
  /** its file name without extension */
  readonly name: string
  readonly title: string
  readonly columns: readonly Column[]
  /** One text per column. Adjacent rows with the same first text form a group. */
  readonly rows: readonly (readonly string[])[]
  /** What readers need to know: how things are counted, which interval, what is left out. */
  readonly notes: readonly string[]
  readonly data: Records
}

export interface Column {
  readonly heading: string
  /** `text`: to the left, in several lines where it is long */
  readonly align: "left" | "right" | "text"
}

export const left = (heading: string): Column => ({ heading, align: "left" })
export const right = (heading: string): Column => ({ heading, align: "right" })
export const text = (heading: string): Column => ({ heading, align: "text" })
