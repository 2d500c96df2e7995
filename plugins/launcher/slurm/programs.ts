/** Slurm's programs: what they are asked, and what they answer. Arguments are passed as a list: no shell reads them. */
import { execFile } from "node:child_process"
import { userInfo } from "node:os"
import { Data, Duration, Effect, Schedule } from "effect"
import { LauncherUnavailable, type Queued } from "../../../core/api/launcher.ts"
import { formatSeconds } from "../../../core/io/format.ts"
import { secondsOf } from "./time.ts"

/** A program that could not be started, or that has refused something. */
export class ProgramFailed extends Data.TaggedError("ProgramFailed")<{
  readonly program: string
  readonly said: string
  readonly isMissing: boolean
}> {
  override get message() {
    return this.isMissing ? `there is no ${this.program} here` : `${this.program} said: ${this.said}`
  }
}

/** How long a program may take, ms: a busy controller answers late. */
const longestAnswer = 120_000

/** What a program writes to standard output. */
export const ask = (program: string, ...args: readonly string[]): Effect.Effect<string, ProgramFailed> =>
  Effect.callback((resume) => {
    const child = execFile(program, args, { timeout: longestAnswer }, (error, stdout, stderr) => {
      if (error === null) return resume(Effect.succeed(stdout))
      const said = stderr.trim() || (error.killed ? "nothing, for minutes" : error.message)
      resume(Effect.fail(new ProgramFailed({ program, said, isMissing: error.code === "ENOENT" })))
    })
    return Effect.sync(() => child.kill())
  })

/** Fails if Slurm's programs are not here, or its controller does not answer. */
export const checkPrograms: Effect.Effect<void, LauncherUnavailable> = Effect.gen(function* () {
  yield* ask("sbatch", "--version")
  yield* ask("scontrol", "show", "config")
}).pipe(
  Effect.mapError(
    (error) =>
      new LauncherUnavailable({
        launcher: "slurm",
        reason: error.message,
        remedy: "start the command on a login node of the cluster, or choose --launcher local",
      }),
  ),
)

/** Slurm's own default. */
const usualArraySize = 1001

/** The largest number of tasks of an array. */
export const largestArray: Effect.Effect<number> = Effect.map(
  Effect.orElseSucceed(ask("scontrol", "show", "config"), () => ""),
  (text) => Math.max(1, Number(/^MaxArraySize\s*=\s*(\d+)/m.exec(text)?.[1] ?? usualArraySize)),
)

/**
 * The longest time that jobs may have in a partition, by default the cluster's default partition, s; undefined if there
 * is no limit, or it is not known.
 */
export const longestTime = (partition: string | undefined): Effect.Effect<number | undefined> =>
  Effect.map(
    Effect.orElseSucceed(ask("sinfo", "--noheader", "--format=%P %l"), () => ""),
    (text) => {
      const partitions = text.split("\n").map((line) => line.trim().split(/\s+/))
      const [, time] =
        partitions.find(([name = ""]) =>
          partition === undefined ? name.endsWith("*") : name.replace(/\*$/, "") === partition,
        ) ?? []
      return time === undefined ? undefined : secondsOf(time)
    },
  )

/** What passes: the controller is busy or restarts, or the queue is full. */
const passing =
  /socket timed out|unable to contact|connection refused|connection reset|temporarily|try again|maxsubmitjob/i
/** What Slurm says of a full queue, but also of a job that asks for too much: for ever. */
const maybePassing = /job submit limit/i
/** So often, what may be for ever is tried again. */
const mostDoubts = 2

/** Again after 2, 4, 8 … s, and then every minute, for about a quarter of an hour. */
const patience = Schedule.min([Schedule.exponential("2 seconds"), Schedule.spaced("1 minute")]).pipe(
  Schedule.upTo({ times: 18 }),
)

/**
 * Submits a script.
 *
 * @returns the id of the job
 */
export const submit = (
  args: readonly string[],
  onLog: (line: string) => void,
): Effect.Effect<string, ProgramFailed> =>
  ask("sbatch", "--parsable", ...args).pipe(
    Effect.retry(($) =>
      $(patience).pipe(
        Schedule.while(
          ({ input: { said }, attempt }) =>
            passing.test(said) || (maybePassing.test(said) && attempt <= mostDoubts),
        ),
        Schedule.tap(({ input, duration }) =>
          Effect.sync(() =>
            onLog(`${input.message}; it is asked again in ${formatSeconds(Duration.toSeconds(duration))}`),
          ),
        ),
      ),
    ),
    Effect.flatMap((answer) => {
      // With several clusters, that of the job follows.
      const id = /^(\d+)/.exec(answer.trim())?.[1]
      const said = `expected the id of a job, found ${JSON.stringify(answer)}`
      return id === undefined
        ? Effect.fail(new ProgramFailed({ program: "sbatch", said, isMissing: false }))
        : Effect.succeed(id)
    }),
  )

/** Takes jobs out of the queue, and stops those that run. */
export const cancel = (jobs: readonly string[]): Effect.Effect<void> =>
  jobs.length === 0 ? Effect.void : Effect.ignore(ask("scancel", ...jobs))

export const cancelLine = (jobs: readonly string[]): string => ["scancel", ...jobs].join(" ")

/** Reasons of pending jobs that do not pass by themselves. */
const lasting = /held|NeverSatisfied|BadConstraints|Invalid(Account|QOS)|Partition(Time|Node)Limit/i

/** Those of these jobs that are in the queue: they wait, run or end just now. */
export const unfinishedJobs = (jobs: readonly string[]): Effect.Effect<readonly Queued[] | undefined> =>
  // Older than --me.
  ask("squeue", `--user=${userInfo().uid}`, "--noheader", "--format=%F %r").pipe(
    Effect.map((text) => {
      const queued = new Map<string, Queued>()
      // Some tasks of an array may run while others wait: they have a line each.
      for (const line of text.split("\n")) {
        const [, job, reason] = /^\s*(\d+)\s*(.*?)\s*$/.exec(line) ?? []
        if (job === undefined || queued.get(job)?.stuck !== undefined) continue
        const stuck = lasting.test(reason!)
          ? { stuck: `Slurm says ${reason}; scontrol show job ${job} tells more` }
          : {}
        queued.set(job, { job, ...stuck })
      }
      return jobs.flatMap((job) => queued.get(job) ?? [])
    }),
    Effect.orElseSucceed(() => undefined),
  )
