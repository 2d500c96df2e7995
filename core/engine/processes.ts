/** Runs jobs in worker processes on this machine: a slow step blocks nothing, and a crash costs one attempt at one job. */
import { availableParallelism } from "node:os"
import { Clock, Deferred, Duration, Effect, Exit, Pool, Queue, Schedule, Scope, Semaphore } from "effect"
import type { Slots } from "../api/launcher.ts"
import type { Precision } from "../api/precision.ts"
import type { Commit } from "../api/provenance.ts"
import { formatBytes, formatSeconds } from "../io/format.ts"
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

/** A runner of jobs in at most `processes` worker processes, which end with the scope. */
export const workerProcesses = Effect.fn("workerProcesses")(function* (settings: WorkerSettings) {
  const { processes, timeLimit, onLog } = settings
  const limit = memoryLimit()
  const workers = new Set<WorkerProcess>()
  const pool = yield* poolOf(settings, workers, diagnosing(workers, limit.bytes))
  /** A worker that was not lost while it had nothing to do. One that was is given back first: there may be no other. */
  const livingWorker = Effect.gen(function* () {
    const scope = yield* Effect.scope
    while (true) {
      const taken = yield* Scope.fork(scope)
      const worker = yield* Scope.provide(Pool.get(pool), taken)
      if (!worker.ended) return worker
      yield* Pool.invalidate(pool, worker)
      yield* Scope.close(taken, Exit.void)
    }
  })
  const turns = yield* Semaphore.make(processes)
  const shares = new Shares(availableParallelism(), settings.threads)

  /** The outcomes of a job, from one worker. */
  const askWorker = Effect.fnUntraced(function* (job: Job, missing: Missing, listener: JobListener) {
    const worker = yield* livingWorker
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
    const begun = yield* Deferred.make<void>()
    const log = new UnitLog(settings.out, job.unit)
    const outcomes = worker
      .ask(request, {
        begun: Effect.gen(function* () {
          log.begun(worker.pid, threads)
          yield* listener.started
          yield* Deferred.succeed(begun, undefined)
        }),
        progress: (progress) => {
          log.progress(progress)
          return listener.progress(progress)
        },
        printed: log.write,
      })
      .pipe(
        // A worker saves the state of its job before it exits.
        Effect.onInterrupt(() => Effect.ensuring(worker.stop, Effect.sync(log.stopped))),
        Effect.tapError((lost) => Effect.sync(() => log.write(lost.reason))),
        Effect.ensuring(Effect.suspend(() => (worker.ended ? Pool.invalidate(pool, worker) : Effect.void))),
        Effect.map((reply): readonly UnitOutcome[] | Held => {
          if (reply.type === "finished") {
            log.ended(job, reply.outcomes)
            return reply.outcomes
          }
          if (reply.type === "held") return { held: reply.by }
          const found = `expected the worker process to reply "finished", found "${reply.type}"`
          return allFailed(job, "plugin", reply.type === "refused" ? reply.reason : found)
        }),
      )
    if (timeLimit === undefined) return yield* outcomes
    const time = formatSeconds(Duration.toSeconds(timeLimit))
    const reason = `it was stopped after ${time}, its time limit; its state is kept, and the next run goes on from there`
    const late = Effect.andThen(Deferred.await(begun), Effect.sleep(timeLimit))
    return yield* Effect.raceFirst(outcomes, Effect.as(late, allFailed(job, "time", reason)))
  }, Effect.scoped)

  const runner: JobRunner = (job, missing, listener) => {
    const attempt = askWorker(job, missing, listener).pipe(
      // At most so many have died while they had nothing to do.
      Effect.retry({ times: processes, while: ({ kind, begun }) => kind !== "plugin" && !begun }),
    )
    // The others have no job then, but what they have loaded takes memory.
    const unload = Effect.suspend(() =>
      Effect.forEach([...workers], (worker) => Pool.invalidate(pool, worker), { discard: true }),
    )
    const inTurn = (alone: boolean) =>
      alone ? turns.withPermits(processes)(Effect.andThen(unload, attempt)) : turns.withPermits(1)(attempt)
    return retrying(job, inTurn, { processes, limit, onLog })
  }
  return runner
})

/** The worker processes, which are looked at from their start to their end. */
const poolOf = Effect.fnUntraced(function* (
  settings: WorkerSettings,
  workers: Set<WorkerProcess>,
  diagnose: () => Pick<WorkerLost, "kind" | "reason">,
) {
  const { processes, onLog, file, units, parameters, branch, backend, precision, out, command, commit } =
    settings
  const branched = branch === undefined ? {} : { branch: { ...branch, set: [...branch.set] } }
  const revisions = { ...settings.revisions }
  const asked = { file, parameters, ...branched, backend, precision, out, command, commit, revisions }
  const clock = yield* Clock.Clock
  const look = Effect.sync(() => {
    for (const worker of workers) worker.look()
  })
  yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced(Duration.seconds(lookEvery))))
  let { code } = settings
  /** Those that no process has. */
  const free = yield* Queue.unbounded<Readonly<Record<string, string>>>()
  yield* Queue.offerAll(free, settings.environments ?? Array.from({ length: processes }, () => ({})))
  const taken = new Map<WorkerProcess, Readonly<Record<string, string>>>()
  const start = (from: LaunchedCode) =>
    Effect.acquireRelease(
      Effect.map(Queue.take(free), (environment) => {
        const worker = new WorkerProcess(clock, diagnose, onLog, from, environment)
        workers.add(worker)
        taken.set(worker, environment)
        return worker
      }),
      end,
      { interruptible: true },
    )
  const end = (worker: WorkerProcess) =>
    Effect.ensuring(
      worker.stop,
      Effect.suspend(() => {
        workers.delete(worker)
        const environment = taken.get(worker)
        taken.delete(worker)
        return environment === undefined ? Effect.void : Queue.offer(free, environment)
      }),
    )
  const opened: Effect.Effect<WorkerProcess, WorkerLost, Scope.Scope> = Effect.gen(function* () {
    const from = code
    const worker = yield* start(from)
    const copy = from.copied === undefined ? {} : { copy: { file: from.file, units } }
    if (yield* worker.open({ type: "open", ...asked, ...copy })) return worker
    yield* end(worker)
    if (code === from) {
      code = codeOf(file)
      onLog(
        "the copy of the code has other units, since they depend on where the code lies or it was edited just now, and is not used: edit nothing that this run uses until it has ended",
      )
    }
    return yield* opened
  })
  return yield* Pool.makeWithTTL({ acquire: opened, min: 0, max: processes, timeToLive: "10 minutes" })
})

/** Of the memory that there may be: processes that use more are likely to be killed for it. */
const nearLimit = 0.9

/** Tells whether a worker process that was killed by SIGKILL was killed because memory ran out. */
const diagnosing = (workers: ReadonlySet<WorkerProcess>, limit: number) => {
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
    const used = [...workers].reduce((sum, { vitals }) => sum + (vitals?.memory ?? 0), 0)
    if (used > nearLimit * limit) {
      const reason = `the worker process was killed by SIGKILL, probably because memory ran out: all of them together used ${formatBytes(used)}`
      return { kind: "memory", reason }
    }
    const hint = kills.counted ? "" : " (often because memory ran out; try a smaller --jobs)"
    return { kind: "lost", reason: `the worker process was killed by SIGKILL${hint}` }
  }
}
