import type { MetricName } from "../../../../core/artifacts/metrics.ts"
import type { Lengths } from "../lengths.ts"

/** A task of GLUE (Wang et al. 2019): each example has one or two sentences and a label. */
export interface GlueTask {
  /** Label names, as in the hub's copy; a label's id is its index. Null: labels are scores from 0 to 5. */
  readonly labelNames: readonly string[] | null
  /** By the first, a run is better than the baseline or has failed. */
  readonly metrics: readonly MetricName[]
  /** Whether an example may lack text, as some of QQP do. */
  readonly emptyText?: boolean
  /** The task's own files, by preference. */
  readonly tsv: readonly GlueTsv[]
  /** Its files in the hub's copy of GLUE. */
  readonly parquet: GlueParquet
  /** Number of examples in each split. */
  readonly train: number
  readonly dev: number
  readonly lengths: Lengths
}

interface Columns {
  /** The columns of the one or two sentences. */
  readonly sentences: readonly string[]
  /** The column of the label. */
  readonly label: string
}

export interface GlueTsv extends Columns {
  readonly train: string
  readonly dev: string
  /** All columns of files that have no header. */
  readonly headless?: readonly string[]
  /** The labels as written, in the order of the label names; by default, the label names. */
  readonly written?: readonly string[]
  /** Whether rows with too few columns are left out. */
  readonly leaveOutShort?: boolean
  /** For files that are not split: `dev` lists the ids of those rows of `train` that are the dev split. */
  readonly devIds?: readonly string[]
}

export interface GlueParquet extends Columns {
  /** The folder in the hub's copy. */
  readonly folder: string
  /** The hub's name of the dev split. */
  readonly dev: string
}
