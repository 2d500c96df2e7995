import type { Records } from "../shared/records.ts"

/** A table as a person reads it, and the same numbers in full as data. */
export interface Table {
  /** its file name, without ending */
  readonly name: string
  readonly title: string
  readonly columns: readonly Column[]
  /** Texts, one to a column. Rows whose first text is the same stand together. */
  readonly rows: readonly (readonly string[])[]
  /** What a reader must know to read it: how things are counted, which interval, what is left out. */
  readonly notes: readonly string[]
  readonly data: Records
}

export interface Column {
  readonly head: string
  readonly align: "left" | "right"
}

export const left = (head: string): Column => ({ head, align: "left" })
export const right = (head: string): Column => ({ head, align: "right" })
