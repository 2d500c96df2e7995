import type { Figure } from "./figure.ts"
import type { Table } from "./table.ts"

/** A section of a report: sentences, then tables and figures in reading order. */
export interface ReportSection {
  readonly title: string
  readonly sentences?: readonly string[]
  readonly parts: readonly (Table | Figure)[]
}

/** What a report says. */
export interface Report {
  readonly title: string
  readonly headline: readonly string[]
  readonly sections: readonly ReportSection[]
  /** Where the numbers come from, by name: only what is the same for two equal studies. */
  readonly facts: Readonly<Record<string, string>>
}
