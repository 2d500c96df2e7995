/** Carrying out the plan of `bun run pipeline`: here, by worker processes, or in the queue of a cluster. */
import { type Duration, Effect } from "effect"
import type { Queue } from "../api/launcher.ts"
import type { Precision } from "../api/precision.ts"
import type { Commit } from "../api/provenance.ts"
import type { BranchRequest } from "../engine/branch.ts"
import { execute } from "../engine/execute.ts"
import { codeOf, frozenCode } from "../engine/freeze.ts"
import { digestOfUnits } from "../engine/graph.ts"
import { launchOf, writeLaunch } from "../engine/launch.ts"
import { Follower } from "../engine/launchers/follow.ts"
import { type ChosenLauncher, submitPlan } from "../engine/launchers/submission.ts"
import type { Plan } from "../engine/plan.ts"
import { type WorkerSettings, workerProcesses } from "../engine/processes.ts"
import { type Publication, reportFolder } from "../engine/publish.ts"
import { revisionsOf } from "../engine/revisions.ts"
import type { Backend } from "../tensor/backend.ts"
import { Display } from "./display.ts"
import { checkNotQueued, followSubmitted, type IdsForm, type InQueue, tellSubmitted } from "./launch.ts"
import { screen } from "./terminal.ts"

/** With what a plan is carried out, and what of it is to be known later. */
export interface CarryingOut {
  /** The pipeline file. */
  readonly path: string
  /** Of the pipeline, or of the branch of a run. */
  readonly name: string
  readonly publication: Publication
  readonly branch: BranchRequest | undefined
  readonly backend: Backend
  readonly precision: Precision
  readonly model: string | undefined
  /** Of each job; undefined if jobs share the cores. */
  readonly threads: number | undefined
  /** Of each job. */
  readonly timeLimit: Duration.Duration | undefined
  readonly chosen: ChosenLauncher
  readonly commit: Commit | null
  /** Receives a line for a person; the same only once. */
  readonly tell: (line: string) => void
}

/** Copies the code, and records what is carried out. */
const prepare = Effect.fnUntraced(function* (
  how: CarryingOut,
  plan: Plan,
  folder: string,
  onLog: (line: string) => void,
) {
  const { path, name, publication, chosen } = how
  const { out, parameters, command } = publication
  const hasJobs = plan.jobs.length > 0
  const code = !hasJobs
    ? codeOf(path)
    : yield* Effect.catchTag(frozenCode(out, path, onLog), "NotFrozen", (error) =>
        Effect.sync(() => {
          onLog(error.message)
          return codeOf(path)
        }),
      )
  const settings: WorkerSettings = {
    file: path,
    code,
    units: digestOfUnits(plan.graph),
    parameters,
    branch: how.branch,
    backend: how.backend.name,
    precision: how.precision,
    model: how.model,
    threads: how.threads,
    out: folder,
    command,
    commit: how.commit,
    revisions: revisionsOf(plan.graph),
    // With a queue, only samples of `--accept` are computed here.
    processes: chosen.launcher.queue === undefined ? chosen.slots.processes : 1,
    environments: chosen.slots.environments,
    timeLimit: how.timeLimit,
    onLog,
  }
  const launch = launchOf(plan, settings, { name, report: reportFolder(publication) })
  if (hasJobs && folder === out) yield* writeLaunch(out, launch)
  return { settings, launch }
})

/**
 * Carries out a plan by worker processes, with its progress displayed.
 *
 * @param folder of the store
 * @param onBegun called once a job has begun
 */
export const carryOutHere = Effect.fnUntraced(function* (
  how: CarryingOut,
  plan: Plan,
  folder: string,
  onBegun: () => void,
) {
  const display = new Display(plan, screen)
  return yield* Effect.gen(function* () {
    yield* onSignal(() => display.log("stopping: running jobs save their state first"))
    const { settings } = yield* prepare(how, plan, folder, display.log)
    const runner = yield* workerProcesses(settings)
    return yield* execute(plan, runner, (event) =>
      Effect.sync(() => {
        onBegun()
        display.onEvent(event)
      }),
    )
  }).pipe(
    Effect.scoped,
    Effect.ensuring(Effect.sync(display.close)),
    Effect.onInterrupt(() =>
      Effect.sync(() => process.stderr.write("stopped; the same command resumes from here\n")),
    ),
  )
})

/** Calls `notify` as soon as a signal arrives, before the interruption, which may take a minute or no time at all. */
const onSignal = (notify: () => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      process.prependOnceListener("SIGINT", notify)
      process.prependOnceListener("SIGTERM", notify)
    }),
    () =>
      Effect.sync(() => {
        process.removeListener("SIGINT", notify)
        process.removeListener("SIGTERM", notify)
      }),
  )

/** Puts a plan into a queue, and says so. */
export const submit = Effect.fnUntraced(function* (how: CarryingOut, plan: Plan, queue: Queue, ids: IdsForm) {
  const { publication, chosen, tell, timeLimit } = how
  const { out } = publication
  yield* checkNotQueued(queue, out, reportFolder(publication), tell)
  const { launch } = yield* prepare(how, plan, out, tell)
  const { device } = how.backend
  const submitted = yield* submitPlan(chosen, queue, plan, launch, { out, device, timeLimit, onLog: tell })
  tellSubmitted(launch, submitted, ids)
  return { ...submitted, launch: launch.id } satisfies InQueue
})

/**
 * Puts a plan into a queue, and shows its progress until it has ended.
 *
 * @param onSubmitted called once it is in the queue
 */
export const carryOutQueued = Effect.fnUntraced(function* (
  how: CarryingOut,
  plan: Plan,
  queue: Queue,
  ids: IdsForm,
  onSubmitted: () => void,
) {
  const follower = new Follower(plan)
  yield* follower.remember
  const submitted = yield* submit(how, plan, queue, ids)
  onSubmitted()
  return yield* followSubmitted(queue, plan, follower, submitted, how.publication.out)
})
