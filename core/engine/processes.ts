/** Runs jobs in worker processes on this machine: a slow step blocks nothing, and a crash costs one attempt at one job. */
import { availableParallelism } from "node:os"
import { Clock, Deferred, Duration, Effect, Exit, Schedule } from "effect"
import type { Slots } from "../api/launcher.ts"
import type { Precision } from "../api/precision.ts"
import type { Commit } from "../api/provenance.ts"
import { formatBytes, formatSeconds, plural } from "../io/format.ts"
import type { BranchRequest } from "./branch.ts"
import { codeOf, type LaunchedCode } from "./freeze.ts"
import { type Missing, type UnitOutcome, usesBackend } from "./job.ts"
import { UnitLog } from "./logs.ts"
import type { Request } from "./messages.ts"
import type { Job } from "./plan.ts"
import type { Revisions } from "./revisions.ts"
import { Shares } from "./shares.ts"
import { MemoryKills, memoryLimit } from "./workers/memory.ts"
import { allFailed, retrying } from "./workers/retry.ts"
import { Turns } from "./workers/turns.ts"
import { lookEvery } from "./workers/watchdog.ts"
import { type WorkerLost, WorkerProcess } from "./workers/worker-process.ts"

/** How far a job has come. */
export interface JobProgress {
  readonly done: number
  readonly total: number
  readonly note: string
}

/** Receives the progress of a job. */
export interface JobListener {
  /** Runs when the job has a process and starts; again if it is tried again. */
  readonly started: Effect.Effect<void>
  readonly progress: (progress: JobProgress) => Effect.Effect<void>
}

/** That a job did not begin, since another process makes one of its units. */
export interface Held {
  /** That process. */
  readonly held: string
}

/**
 * Runs one job, unless it is held. At the end, every wanted unit has an outcome. An interruption keeps the state of the
 * job.
 */
export type JobRunner = (
  job: Job,
  missing: Missing,
  listener: JobListener,
) => Effect.Effect<readonly UnitOutcome[] | Held>

export interface WorkerSettings {
  /** The pipeline file. */
  readonly file: string
  /** Where worker processes find it, and all other code. */
  readonly code: LaunchedCode
  /** `digestOfUnits` of the graph that the plan is of. */
  readonly units: string
  /** Checked and completed with defaults; JSON. */
  readonly parameters: object
  /** The branch of one of its runs that is made instead of the pipeline. */
  readonly branch?: BranchRequest | undefined
  readonly backend: string
  readonly precision: Precision
  /** What the plan is for: `Backend.model` of the machines of its jobs. */
  readonly model: string | undefined
  /** The threads of each job; undefined if the jobs that run share the cores. */
  readonly threads: number | undefined
  readonly out: string
  /** The command line, for provenance. */
  readonly command: string
  /** Of the project at work. */
  readonly commit: Commit | null
  readonly revisions: Revisions
  readonly processes: number
  /** What the worker processes have in their environment besides, one value each; undefined if nothing. */
  readonly environments?: Slots["environments"] | undefined
  /** A job that takes longer is stopped, and its state kept. */
  readonly timeLimit?: Duration.Duration | undefined
  /** Called with every line that a worker prints, replies excepted, and with what becomes of lost workers. */
  readonly onLog: (line: string) => void
}

/** A place for one worker process, with what that has in its environment besides. */
interface Slot {
  readonly environment: Readonly<Record<string, string>>
  worker: WorkerProcess | undefined
  /** Since when its worker has had no job, s on the monotonic clock; undefined while a job has the slot. */
  idleSince: number | undefined
}

/** A worker that has had no job for so long, s, is ended: what it has loaded takes memory. */
const longestIdle = 600

/** That a worker could not start the backend for a job, which it has not begun. */
class Unavailable {
  constructor(readonly reason: string) {}
}

/** A runner of jobs in at most `processes` worker processes, which end with the scope. */
export const workerProcesses = Effect.fn("workerProcesses")(function* (settings: WorkerSettings) {
  const { processes, environments, timeLimit, onLog } = settings
  const limit = memoryLimit()
  const slots = (environments ?? Array.from({ length: processes }, () => ({}))).map(
    (environment): Slot => ({ environment, worker: undefined, idleSince: undefined }),
  )
  const turns = new Turns(slots)
  const shares = new Shares(availableParallelism(), settings.threads)
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e9
  const workerOf = workersOf(settings, clock, diagnosing(slots, limit.bytes))
  yield* Effect.addFinalizer(() => vacate(slots))
  const look = Effect.gen(function* () {
    for (const { worker, idleSince } of slots) {
      worker?.look()
      if (worker === undefined || worker.ended || idleSince === undefined) continue
      // A job that takes the slot meanwhile waits until it is gone.
      if (now() - idleSince >= longestIdle) yield* Effect.forkChild(worker.stop)
    }
  })
  yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced(Duration.seconds(lookEvery))))

  /** What the worker of a slot replies to a job. Interrupted, it saves the state of the job and ends first. */
  const ask = Effect.fnUntraced(function* (slot: Slot, job: Job, missing: Missing, listener: JobListener) {
    const worker = yield* workerOf(slot)
    const { threads } = yield* Effect.acquireRelease(
      Effect.sync(() => shares.begin(usesBackend(job), worker.setThreads)),
      (share) => Effect.sync(share.end),
    )
    const request: Request = {
      type: "run",
      unit: job.unit.key,
      wanted: job.wanted,
      observers: job.observers.map(({ key }) => key),
      missing: [...missing.values()],
      threads,
    }
    const log = new UnitLog(settings.out, job.unit)
    const begun = Effect.sync(() => log.begun(worker.pid, threads))
    const asked = worker.ask(request, {
      begun: Effect.andThen(begun, listener.started),
      progress: (progress) => {
        log.progress(progress)
        return listener.progress(progress)
      },
      printed: log.write,
    })
    const stopped = Effect.andThen(worker.stop, Effect.sync(log.stopped))
    const reply = yield* Effect.onInterrupt(asked, () => stopped).pipe(
      Effect.tapError(({ reason }) => Effect.sync(() => log.write(reason))),
    )
    if (reply.type === "finished") {
      log.ended(job, reply.outcomes)
      if (reply.worn === true) yield* worker.stop
    }
    return reply
  }, Effect.scoped)

  /** How a job ends in a slot, unless its worker is lost. */
  const runIn = Effect.fnUntraced(function* (
    slot: Slot,
    job: Job,
    missing: Missing,
    listener: JobListener,
  ): Effect.fn.Return<readonly UnitOutcome[] | Held | Unavailable, WorkerLost> {
    const hasBegun = yield* Deferred.make<void>()
    const started = Effect.andThen(listener.started, Deferred.done(hasBegun, Exit.void))
    const reply = ask(slot, job, missing, { ...listener, started: Effect.asVoid(started) }).pipe(
      // Its worker may have died while it had nothing to do, unnoticed. A new one is then taken at once.
      Effect.retry({
        times: 1,
        while: ({ kind, begun, starting }) => kind !== "plugin" && !begun && !starting,
      }),
      Effect.map((reply) => {
        if (reply.type === "finished") return reply.outcomes
        if (reply.type === "held") return { held: reply.by }
        if (reply.type === "unavailable") return new Unavailable(reply.reason)
        const found = `expected the worker process to reply "finished", found "${reply.type}"`
        return allFailed(job, "plugin", reply.type === "refused" ? reply.reason : found)
      }),
    )
    if (timeLimit === undefined) return yield* reply
    const time = formatSeconds(Duration.toSeconds(timeLimit))
    const reason = `it was stopped after ${time}, its time limit; its state is kept, and the next run goes on from there`
    const late = Effect.andThen(Deferred.await(hasBegun), Effect.sleep(timeLimit))
    return yield* Effect.raceFirst(reply, Effect.as(late, allFailed(job, "time", reason)))
  })

  /** Whether another slot has another device. */
  const hasOthers = () => environments !== undefined && turns.left > 1
  /** Where no backend starts, in words. */
  const leftOut: string[] = []
  /**
   * What becomes of a job for which the backend did not start in a slot. If another slot has another device, this one is
   * left out, and undefined is returned: the job is to be run again.
   */
  const withoutBackend = Effect.fnUntraced(function* (slot: Slot, job: Job, { reason }: Unavailable) {
    const named = Object.entries(slot.environment).map(([name, value]) => `${name}=${value}`)
    const where = `with ${named.join(" ")}`
    if (environments === undefined) return allFailed(job, "plugin", reason)
    if (!hasOthers()) {
      const neither = leftOut.length === 0 ? "" : `; nor can it ${leftOut.join(" or ")}`
      return allFailed(job, "plugin", `${where}, ${reason}${neither}`)
    }
    turns.leaveOut(slot)
    leftOut.push(where)
    onLog(
      `${where}, ${reason}. Jobs are not run there any more; ${plural(turns.left, "job")} at a time can still run`,
    )
    yield* vacate([slot])
    return undefined
  })

  const runner: JobRunner = (job, missing, listener) => {
    const turn = (alone: boolean) =>
      turns.take(alone, (slot) =>
        Effect.gen(function* () {
          slot.idleSince = undefined
          // The others have no job then, but what they have loaded takes memory.
          if (alone) yield* vacate(slots)
          const ended = yield* runIn(slot, job, missing, listener).pipe(
            Effect.catchIf(
              ({ starting }) => starting && hasOthers(),
              ({ reason }) => Effect.succeed(new Unavailable(`${reason} while it started the backend`)),
            ),
          )
          return ended instanceof Unavailable ? yield* withoutBackend(slot, job, ended) : ended
        }).pipe(
          Effect.ensuring(
            Effect.sync(() => {
              slot.idleSince = now()
            }),
          ),
        ),
      )
    const attempt = (alone: boolean): Effect.Effect<readonly UnitOutcome[] | Held, WorkerLost> =>
      Effect.flatMap(turn(alone), (ended) => (ended === undefined ? attempt(alone) : Effect.succeed(ended)))
    return retrying(job, attempt, { processes, limit, onLog })
  }
  return runner
})

/** Ends the workers of slots. */
const vacate = (slots: readonly Slot[]): Effect.Effect<void> =>
  Effect.forEach(slots, ({ worker }) => worker?.stop ?? Effect.void, {
    concurrency: "unbounded",
    discard: true,
  })

/** Gives the worker of a slot: a new process that has opened the pipeline, if it has none that lives. */
const workersOf = (
  settings: WorkerSettings,
  clock: Clock.Clock,
  diagnose: () => Pick<WorkerLost, "kind" | "reason">,
) => {
  const { onLog, file, units, parameters, branch, backend, precision, model, out, command, commit } = settings
  const branched = branch === undefined ? {} : { branch: { ...branch, set: [...branch.set] } }
  const revisions = { ...settings.revisions }
  const computing = { backend, precision, ...(model !== undefined && { model }) }
  const asked = { file, parameters, ...branched, ...computing, out, command, commit, revisions }
  let { code } = settings
  const workerOf = (slot: Slot): Effect.Effect<WorkerProcess, WorkerLost> =>
    Effect.gen(function* () {
      if (slot.worker?.ended === false) return slot.worker
      yield* vacate([slot])
      const from = code
      const worker = new WorkerProcess(clock, diagnose, onLog, from, slot.environment)
      slot.worker = worker
      const copy = from.copied === undefined ? {} : { copy: { file: from.file, units } }
      const opened = worker.open({ type: "open", ...asked, ...copy })
      if (yield* Effect.onInterrupt(opened, () => worker.stop)) return worker
      yield* worker.stop
      if (code === from) {
        code = codeOf(file)
        onLog(
          "the copy of the code has other units, since they depend on where the code lies or it was edited just now, and is not used: edit nothing that this run uses until it has ended",
        )
      }
      return yield* workerOf(slot)
    })
  return workerOf
}

/** Of the memory that there may be: processes that use more are likely to be killed for it. */
const nearLimit = 0.9

/** Tells whether a worker process that was killed by SIGKILL was killed because memory ran out. */
const diagnosing = (slots: readonly Slot[], limit: number) => {
  const kills = new MemoryKills()
  return (): Pick<WorkerLost, "kind" | "reason"> => {
    const counter = kills.claim()
    if (counter !== undefined) {
      const sure = counter === "cgroup" ? "" : "very likely "
      return {
        kind: "memory",
        reason: `memory ran out, and ${sure}the kernel killed the worker process for it`,
      }
    }
    const used = slots.reduce((sum, { worker }) => sum + (worker?.memory ?? 0), 0)
    if (used > nearLimit * limit) {
      const reason = `the worker process was killed by SIGKILL, probably because memory ran out: all of them together used ${formatBytes(used)}`
      return { kind: "memory", reason }
    }
    const hint = kills.counted ? "" : " (often because memory ran out; try a smaller --jobs)"
    return { kind: "lost", reason: `the worker process was killed by SIGKILL${hint}` }
  }
}
