import type { type } from "arktype"
import { Data, type Effect } from "effect"
import type { FileError } from "../io/files.ts"

/** A launcher cannot run here, or was refused: why, and what would help. */
export class LauncherUnavailable extends Data.TaggedError("LauncherUnavailable")<{
  readonly launcher: string
  readonly reason: string
  readonly remedy: string
}> {
  override get message() {
    return `the launcher ${this.launcher} cannot run here: ${this.reason}; ${this.remedy}`
  }
}

/** Devices that a backend may compute on: `cuda` are NVIDIA GPUs, which `CUDA_VISIBLE_DEVICES` chooses among. */
export type Device = "cuda"

/** What decides how many jobs run at a time. */
export interface SlotsAsked {
  /** `--jobs`, if it was given. */
  readonly jobs: number | undefined
  /** `--threads`, if it was given. */
  readonly threads: number | undefined
  /** Of the largest job, bytes. */
  readonly memory: number
  /** What the backend computes on, if that is not the processor. */
  readonly device: Device | undefined
  /** What this machine has: its cores, and the bytes that all processes here may use together. */
  readonly here: { readonly cores: number; readonly memory: number }
}

/** Room for jobs. */
export interface Slots {
  /** How many jobs run at a time. */
  readonly processes: number
  /** Of each job; left out if the jobs share the cores of this machine. */
  readonly threads?: number
  /** What worker processes have in their environment besides, one value each; left out if nothing. */
  readonly environments?: readonly Readonly<Record<string, string>>[]
}

/** A job of a plan that is to run elsewhere, with what it is expected to need. */
export interface Task {
  /** bytes */
  readonly memory: number
  readonly seconds: number
  /** Whether it computes with tensors: only then it can use several threads, or a device. */
  readonly tensors: boolean
}

/** A command: the program and its arguments. */
export type CommandLine = readonly [program: string, ...args: string[]]

/** A plan that is to run elsewhere. */
export interface Submission {
  /** The id of the launch. */
  readonly launch: string
  /** The pipeline's name, for people. */
  readonly name: string
  /** The folder of the launch, which all machines see. What the launcher writes goes there. */
  readonly folder: string
  /** All that must have ended, however it did, before those of the next level start. */
  readonly levels: readonly (readonly Task[])[]
  readonly slots: Slots
  readonly device: Device | undefined
  /** Runs a task, once the number of its level and its index there are added, and `--threads`; it works in `cwd`. */
  readonly work: CommandLine
  /** Publishes the report, once all tasks have ended. */
  readonly publish: CommandLine
  readonly cwd: string
  /** What both have in their environment besides. */
  readonly environment: Readonly<Record<string, string>>
  /** Receives what is worth telling meanwhile, a line each. */
  readonly onLog: (line: string) => void
}

/** What has been submitted. */
export interface Submitted {
  /** The jobs' ids. */
  readonly jobs: readonly string[]
  /** The command line that cancels them. */
  readonly cancel: string
}

/** A job that is in a queue. */
export interface Queued {
  readonly job: string
  /** Why it will not start unless somebody does something; left out if it runs, or only waits for its turn. */
  readonly stuck?: string
}

/** A queue in which the jobs of a plan wait for machines. */
export interface Queue<O = unknown> {
  /** Submits all tasks of a plan, or none. */
  readonly submit: (
    options: O,
    submission: Submission,
  ) => Effect.Effect<Submitted, FileError | LauncherUnavailable>
  /** Those of these jobs that have not ended; undefined if that cannot be told at the moment. */
  readonly unfinished: (jobs: readonly string[]) => Effect.Effect<readonly Queued[] | undefined>
  /** What was submitted for the launch in a folder; undefined if nothing was. */
  readonly submitted: (folder: string) => Effect.Effect<Submitted | undefined>
}

/** Where and how the jobs of a plan run, in `plugins/launcher`; `--launcher` names it. */
export interface Launcher<O extends type.Any = type.Any> {
  readonly kind: "launcher"
  /** Lower case with hyphens, unique among the launchers. */
  readonly name: string
  /** `import.meta.url`, for the comments of its options. */
  readonly module: string
  /** One line: where jobs run. */
  readonly summary: string
  /** An arktype of an object: what `--launcher-set` sets. */
  readonly options: O
  /** Fails if it cannot run here. */
  readonly check: Effect.Effect<void, LauncherUnavailable>
  readonly slots: (options: O["infer"], asked: SlotsAsked) => Effect.Effect<Slots, LauncherUnavailable>
  /** Left out by a launcher whose jobs run in worker processes of the command itself. */
  readonly queue?: Queue<O["infer"]>
}

/** Declares a launcher, with the type of its options. */
export const launcher = <O extends type.Any>(definition: Omit<Launcher<O>, "kind">): Launcher<O> => ({
  ...definition,
  kind: "launcher",
})
