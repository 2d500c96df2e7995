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
  /** What the backend used, vector instructions such as `AVX-512` or a GPU; null if it does not tell. */
  instructions: "string | null",
  /** The numbers of threads that it had meanwhile, ascending; null if the backend has a fixed number of its own. */
  threads: "number.integer[] | null",
})
export type Computed = typeof Computed.infer

/** The run of a pipeline that asked for something. */
const PipelineRun = type({
  "+": "reject",
  /** The command line, quoted as a shell takes it. */
  command: "string",
  pipeline: {
    "+": "reject",
    name: "string",
    /** The path of its file. */
    file: "string",
    /** All of them, defaults filled in. */
    parameters: "Record<string, unknown>",
  },
})
export type PipelineRun = typeof PipelineRun.infer

const maker = {
  "+": "reject",
  machine: Machine,
  software: Software,
  /** null if it took no tensors. */
  computed: Computed.or("null"),
} as const

const Maker = type(maker)
/** What makes something now. */
export type Maker = typeof Maker.infer

/** What made an artifact. */
export const MadeBy = type({
  ...maker,
  run: PipelineRun,
  /** Of all cores, in programs and in the system, with what was spent before a stop; of a job's parts each its share. */
  cpuSeconds: "number >= 0",
  /** The most memory that the process had while it ran the job, bytes. */
  peakMemory: "number >= 0",
})
export type MadeBy = typeof MadeBy.infer

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
  /** What finished it; null if it is not there. */
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
  readonly madeBy: Maker
  /** All units that it is made from, directly or not, each after those that it is made from itself. */
  readonly units: readonly UnitProvenance[]
}
