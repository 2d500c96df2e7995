/** Where results come from: what a report can say about how it, and all that it is made from, were made. */
import { type } from "arktype"

/** The machine that made something. */
const Machine = type({
  "+": "reject",
  /** The processor's model; null if the system does not tell. */
  cpu: "string | null",
  /** Cores that the process may use. */
  cores: "number.integer >= 1",
  /** Bytes. */
  memory: "number >= 0",
  /** System, release and architecture: `Linux 6.8.0 x64`. */
  os: "string",
})
export type Machine = typeof Machine.infer

/** A commit in git. */
export const Commit = type({
  "+": "reject",
  hash: "string",
  /** Whether files were changed or added since. */
  changed: "boolean",
})
export type Commit = typeof Commit.infer

/** The programs that made something. */
const Software = type({
  "+": "reject",
  /** The version of this package. */
  kasosei: "string",
  /** `bun 1.4.5`. */
  runtime: "string",
  /** The version of each package that this one, and the project at work, depend on. */
  packages: "Record<string, string>",
  /** The project's commit; null if it is not in a git repository. */
  commit: Commit.or("null"),
})
export type Software = typeof Software.infer

/** How tensors were computed. */
const Computed = type({
  "+": "reject",
  backend: "string",
  precision: "string",
  /** The processor's vector instructions that the backend used: `AVX-512`; null if it does not tell. */
  instructions: "string | null",
  /** The numbers of threads that it had meanwhile, ascending; null if the backend has a fixed number of its own. */
  threads: "number.integer[] | null",
})
export type Computed = typeof Computed.infer

/** What made an artifact. */
export const MadeBy = type({
  "+": "reject",
  machine: Machine,
  software: Software,
  /** null if it took no tensors. */
  computed: Computed.or("null"),
  /** The processor time that it took, of all threads, s. */
  "cpuSeconds?": "number >= 0",
})
export type MadeBy = typeof MadeBy.infer

/** The run of a pipeline that asked for a report. */
export interface PipelineRun {
  /** The command line, quoted as a shell takes it. */
  readonly command: string
  readonly pipeline: {
    readonly name: string
    /** The path of its file. */
    readonly file: string
    /** All of them, defaults filled in. */
    readonly parameters: Readonly<Record<string, unknown>>
  }
}

/** A unit that a report is made from. */
export interface UnitProvenance {
  readonly label: string
  readonly stage: string
  readonly plugin: string
  /** Of the plugin, as it declares it. */
  readonly version: number
  /** All of them, defaults filled in; JSON. */
  readonly options: Readonly<Record<string, unknown>>
  readonly key: string
  /** The digest of each file that it read, by its path. */
  readonly read: Readonly<Record<string, string>>
  /** `absent`: it failed, or it is a run that was made for its probes alone and not kept. */
  readonly state: "done" | "diverged" | "absent"
  /** Why it diverged or failed. */
  readonly reason: string | null
  /** Over the content of all its files: equal artifacts have equal digests. */
  readonly digest: string | null
  /** When, in ISO 8601. */
  readonly made: string | null
  /** With what it took before it was stopped, if it was. */
  readonly seconds: number | null
  /** What finished it. null where it is unknown: an artifact of an earlier version. */
  readonly madeBy: MadeBy | null
}

/**
 * Where a report comes from. Two equal studies differ in this alone: in command lines, times, places, and in the
 * versions of what makes no difference. So a report keeps it in files of its own (`provenanceFiles` of
 * `core/artifacts/page.ts`).
 */
export interface Provenance extends PipelineRun {
  /** The report itself. */
  readonly report: Pick<UnitProvenance, "label" | "plugin" | "version" | "options" | "key">
  /** What makes the report. */
  readonly madeBy: MadeBy
  /** All units that it is made from, directly or not, each after those that it is made from itself. */
  readonly units: readonly UnitProvenance[]
}
