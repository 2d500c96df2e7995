/** Runs jobs in worker processes on this machine: a slow step blocks nothing, and a crash loses one job. */
import { type ChildProcess, spawn } from "node:child_process"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { type } from "arktype"
import { Data, Effect, Pool } from "effect"
import type { Precision } from "../api/precision.ts"
import type { Commit } from "../api/provenance.ts"
import { moduleExtension, packageFolder } from "../io/project.ts"
import type { BranchRequest } from "./branch.ts"
import { type Missing, type UnitOutcome, usesBackend } from "./job.ts"
import { Reply, type Request } from "./messages.ts"
import { type Job, keysGivenBy } from "./plan.ts"
import { Shares } from "./shares.ts"

/** A worker process that ended on its own, or that could not open the pipeline. */
export class WorkerLost extends Data.TaggedError("WorkerLost")<{ readonly reason: string }> {
  override get message() {
    return this.reason
  }
}

/** How far a job has come. */
export interface JobProgress {
  readonly done: number
  readonly total: number
  readonly note: string
}

/** Receives the progress of a job. */
export interface JobListener {
  /** Runs when the job has a process and starts. */
  readonly started: Effect.Effect<void>
  readonly progress: (progress: JobProgress) => Effect.Effect<void>
}

/** Runs one job. At the end, every wanted unit has an outcome. */
export type JobRunner = (
  job: Job,
  missing: Missing,
  listener: JobListener,
) => Effect.Effect<readonly UnitOutcome[]>

export interface WorkerSettings {
  readonly file: string
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
  readonly processes: number
  /** Called with every line that a worker prints, replies excepted. */
  readonly onLog: (line: string) => void
}

/** How many of the last lines of standard error the report of a crash includes. */
const keptLines = 20

/** Saving the state of a large model takes a while; a worker that takes longer than this to stop is killed. */
const longestStop = "2 minutes"

class Worker {
  private readonly errors: string[] = []
  private listener: (reply: Reply | WorkerLost) => void = () => {}
  private lost: WorkerLost | undefined
  /** Whether it has exited or was asked to stop: it takes no more jobs. */
  ended = false

  private constructor(
    private readonly child: ChildProcess,
    onLog: (line: string) => void,
  ) {
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const reply = readReply(line)
      if (reply === undefined) onLog(line)
      else this.listener(reply)
    })
    createInterface({ input: child.stderr! }).on("line", (line) => {
      this.errors.push(line)
      if (this.errors.length > keptLines) this.errors.shift()
      onLog(line)
    })
    child.on("error", (cause) => this.lose(`cannot start a worker process: ${cause.message}`))
    child.on("close", (code, signal) => {
      const how = signal === null ? `ended with exit code ${code}` : `was killed by ${signal}`
      const hint = signal === "SIGKILL" ? " (often because memory ran out; try a smaller --jobs)" : ""
      const output = this.errors.length === 0 ? "" : `; its last output:\n${this.errors.join("\n")}`
      this.lose(`the worker process ${how}${hint}${output}`)
    })
    // `close` reports a worker that is gone; writing to it must not throw as well.
    child.stdin!.on("error", () => {})
  }

  static readonly start = Effect.fn("Worker.start")(function* (settings: WorkerSettings) {
    const script = join(packageFolder, "core", "engine", `worker${moduleExtension}`)
    const runtime = "Deno" in globalThis ? ["run", "--allow-all", script] : [script]
    // Its own process group: Ctrl-C reaches only the supervising process, which makes the workers save and stop.
    const child = spawn(process.execPath, runtime, { stdio: ["pipe", "pipe", "pipe"], detached: true })
    const worker = new Worker(child, settings.onLog)
    const { file, parameters, branch, backend, precision, out, command, commit } = settings
    const branched = branch === undefined ? {} : { branch: { ...branch, set: [...branch.set] } }
    const opened = { file, parameters, ...branched, backend, precision, out, command, commit }
    const request: Request = { type: "open", ...opened }
    const reply = yield* worker.ask(request, () => Effect.void)
    if (reply.type === "refused") return yield* new WorkerLost({ reason: reply.reason })
    return worker
  })

  private lose(reason: string) {
    this.ended = true
    this.lost ??= new WorkerLost({ reason })
    this.listener(this.lost)
  }

  /** Sends a request and waits for the reply, passing progress on. */
  ask(request: Request, onProgress: (progress: JobProgress) => Effect.Effect<void>) {
    return Effect.callback<Exclude<Reply, { type: "progress" }>, WorkerLost>((resume) => {
      if (this.lost !== undefined) return resume(Effect.fail(this.lost))
      this.listener = (reply) => {
        if (reply instanceof WorkerLost) resume(Effect.fail(reply))
        else if (reply.type === "progress") Effect.runFork(onProgress(reply))
        else resume(Effect.succeed(reply))
      }
      this.write(request)
    })
  }

  /** Changes how many threads its job may use. */
  readonly setThreads = (threads: number): void => {
    if (!this.ended) this.write({ type: "threads", threads })
  }

  private write(request: Request) {
    this.child.stdin!.write(`${JSON.stringify(request)}\n`)
  }

  /** Lets it save its state and exit. */
  readonly stop = Effect.suspend(() => {
    if (this.ended) return Effect.void
    this.ended = true
    const gone = Effect.callback<void>((resume) => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return resume(Effect.void)
      this.child.once("exit", () => resume(Effect.void))
      this.child.stdin!.end(`${JSON.stringify({ type: "stop" } satisfies Request)}\n`)
    })
    return gone.pipe(
      Effect.timeoutOrElse({
        duration: longestStop,
        orElse: () => Effect.sync(() => void this.child.kill("SIGKILL")),
      }),
    )
  })
}

const readReply = (line: string): Reply | undefined => {
  try {
    const reply = Reply(JSON.parse(line))
    return reply instanceof type.errors ? undefined : reply
  } catch {
    return undefined
  }
}

/** A runner of jobs in at most `processes` worker processes, which end with the scope. */
export const workerProcesses = Effect.fn("workerProcesses")(function* (settings: WorkerSettings) {
  const pool = yield* Pool.makeWithTTL({
    acquire: Effect.acquireRelease(Worker.start(settings), (worker) => worker.stop),
    min: 0,
    max: settings.processes,
    timeToLive: "10 minutes",
  })
  const shares = new Shares(availableParallelism(), settings.threads)
  const runner: JobRunner = (job, missing, listener) =>
    Effect.scoped(
      Effect.gen(function* () {
        const worker = yield* Pool.get(pool)
        yield* listener.started
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
        const reply = yield* worker.ask(request, listener.progress).pipe(
          // A worker saves the state of its job before it exits.
          Effect.onInterrupt(() => worker.stop),
          Effect.ensuring(Effect.suspend(() => (worker.ended ? Pool.invalidate(pool, worker) : Effect.void))),
        )
        if (reply.type === "finished") return reply.outcomes
        return lostOutcomes(
          job,
          reply.type === "refused"
            ? reply.reason
            : `expected the worker process to reply "finished", found "${reply.type}"`,
        )
      }),
    ).pipe(Effect.catch((lost) => Effect.succeed(lostOutcomes(job, lost.reason))))
  return runner
})

const lostOutcomes = (job: Job, reason: string): readonly UnitOutcome[] =>
  keysGivenBy(job).map((key) => ({ key, status: "failed", kind: "lost", reason }))
