/** Hands a plan to a launcher that has a queue, and finds what was handed over before. */
import { join } from "node:path"
import { Data, Duration, Effect, Schedule } from "effect"
import type { CommandLine, Device, Launcher, Queue, Slots, Submitted } from "../../api/launcher.ts"
import type { FileError } from "../../io/files.ts"
import { moduleExtension, projectVariable } from "../../io/project.ts"
import { runtimeArguments } from "../../io/runtime.ts"
import { type Launch, launchesIn, launchFolder, readLaunch } from "../launch.ts"
import type { Plan } from "../plan.ts"
import { levelsOf, writeLevels } from "./levels.ts"

/** A launcher with its options, checked, and the room that it has. */
export interface ChosenLauncher {
  readonly launcher: Launcher
  readonly options: unknown
  readonly slots: Slots
}

export interface SubmissionSettings {
  readonly out: string
  readonly device: Device | undefined
  readonly timeLimit: Duration.Duration | undefined
  readonly onLog: (line: string) => void
}

/** Submits the jobs of a plan that was recorded as `launch`. */
export const submitPlan = Effect.fn("submitPlan")(function* (
  { options, slots }: ChosenLauncher,
  queue: Queue,
  plan: Plan,
  launch: Launch,
  { out, device, timeLimit, onLog }: SubmissionSettings,
) {
  const levels = levelsOf(plan)
  yield* writeLevels(out, launch.id, levels)
  const folder = launchFolder(out, launch.id)
  const script = join(launch.code.package, "core", "cli", `main${moduleExtension}`)
  const limit = timeLimit === undefined ? [] : ["--time-limit", `${Duration.toSeconds(timeLimit)}s`]
  const command = (...args: readonly string[]): CommandLine => [
    process.execPath,
    ...runtimeArguments(script),
    "work",
    ...args,
  ]
  return yield* queue.submit(options, {
    launch: launch.id,
    name: launch.name,
    folder,
    levels,
    slots,
    device,
    work: command(...limit, folder),
    publish: command(folder, "publish"),
    cwd: process.cwd(),
    environment: launch.code.copied === undefined ? {} : { [projectVariable]: launch.code.copied.to },
    onLog,
  })
})

/** An earlier launch whose jobs have not all ended. */
export interface StillQueued {
  readonly launch: string
  readonly unfinished: readonly string[]
  readonly cancel: string
}

/** Whether an earlier launch still has jobs in the queue cannot be told. */
export class QueueSilent extends Data.TaggedError("QueueSilent")<{
  readonly launch: string
  readonly jobs: readonly string[]
}> {
  override get message() {
    return `the queue does not answer, and jobs of the launch ${this.launch} for the same report may still be in it (${this.jobs.join(", ")}); nothing was submitted: start again once it answers`
  }
}

/** A queue that does not answer is asked again, for about a minute. */
const patience = Schedule.spaced("10 seconds").pipe(Schedule.upTo({ times: 6 }))

/** More launches back than this, nothing is in a queue any more. */
const mostLaunches = 100

/**
 * The launches for the same report that still have jobs in the queue.
 *
 * @param onLog is told if it does not answer at once
 * @throws QueueSilent if it does not answer
 */
export const stillQueued = Effect.fn("stillQueued")(function* (
  queue: Queue,
  out: string,
  report: string,
  onLog: (line: string) => void,
): Effect.fn.Return<readonly StillQueued[], FileError | QueueSilent> {
  const earlier: (readonly [id: string, submitted: Submitted])[] = []
  for (const id of (yield* launchesIn(out)).slice(0, mostLaunches)) {
    const submitted = yield* queue.submitted(launchFolder(out, id))
    if (submitted !== undefined) earlier.push([id, submitted])
  }
  if (earlier.length === 0) return []
  const isOfReport = (launch: string) =>
    Effect.map(readLaunch(out, launch), (record) => join(out, record.report) === report)
  const answer = yield* queue.unfinished(earlier.flatMap(([, { jobs }]) => jobs)).pipe(
    Effect.flatMap(Effect.fromNullishOr),
    Effect.tapError(() => Effect.sync(() => onLog("the queue does not answer; it is asked again"))),
    Effect.retry(patience),
    Effect.orElseSucceed(() => undefined),
  )
  if (answer === undefined) {
    for (const [launch, { jobs }] of earlier)
      if (yield* isOfReport(launch)) return yield* new QueueSilent({ launch, jobs })
    return []
  }
  const queued = new Set(answer.map(({ job }) => job))
  const found: StillQueued[] = []
  for (const [launch, { jobs, cancel }] of earlier) {
    const unfinished = jobs.filter((job) => queued.has(job))
    if (unfinished.length === 0) continue
    if (yield* isOfReport(launch)) found.push({ launch, unfinished, cancel })
  }
  return found
})
