/**
 * A process that runs jobs: it opens the same pipeline as the supervising process, finds the requested units by key,
 * and runs them one after the other. Tensors exist only in processes like this one.
 *
 * It reads requests from standard input and writes replies to a descriptor of their own: standard output and standard
 * error are for whatever plugins, and the programs that they start, print. It saves the state of its job and exits on
 * request, or when the supervising process is gone.
 */
import { Socket } from "node:net"
import { type } from "arktype"
import { Cause, type Context, Effect, Exit, Fiber, Layer, Result, Scope } from "effect"
import type { Precision } from "../api/precision.ts"
import { Progress } from "../api/progress.ts"
import type { Commit, PipelineRun } from "../api/provenance.ts"
import { pinCommits } from "../hub/revision.ts"
import { canonicalJson } from "../io/digest.ts"
import { type Backend, startBackend } from "../tensor/backend.ts"
import { openBranch } from "./branch.ts"
import { declaredBackend } from "./discover.ts"
import { digestOfUnits } from "./graph.ts"
import { type Missing, remaining, runJob, usesBackend } from "./job.ts"
import { type Computing, computingHere, computingOf } from "./key.ts"
import { loadPipeline, openPipeline } from "./load.ts"
import { aliveEvery, type Reply, Request, repliesDescriptor, terminatedCode } from "./messages.ts"
import { type Job, jobFor, unitsGivenBy } from "./plan.ts"
import { type Origin, originHere } from "./provenance.ts"
import { forgetSources } from "./source-digest.ts"
import { Leases } from "./store/leases.ts"
import { describeOwner, Owners, ownerPath } from "./store/owners.ts"
import { Store } from "./store/store.ts"
import type { Unit } from "./unit.ts"
import { readLines } from "./workers/lines.ts"
import { wakeOrphan } from "./workers/orphan.ts"

const replies = new Socket({ fd: repliesDescriptor, readable: false, writable: true })
const say = (reply: Reply): void => {
  replies.write(`${JSON.stringify(reply)}\n`)
}

// When the supervising process is gone, nobody reads any more: that must not end a job that saves its state.
for (const stream of [replies, process.stdout, process.stderr]) stream.on("error", () => {})

// Says that it answers, also while its job computes: between two steps.
setInterval(() => say({ type: "alive" }), aliveEvery)

/** The least time between two reports of progress, in milliseconds. */
const progressEvery = 100

const progress = Layer.sync(Progress, () => {
  let last = 0
  return Progress.of({
    report: (done, total, note = "") =>
      Effect.sync(() => {
        const now = performance.now()
        if (done < total && now - last < progressEvery) return
        last = now
        say({ type: "progress", done, total, note })
      }),
  })
})

class Session {
  private started = false
  /** Whether this process has loaded code that is not what the keys say. */
  private edited = false
  /** In words, how this machine computes and what the plan is for, if they differ. */
  private elsewhere: string | undefined
  /** Of the backend, once it has started. */
  private instructions: string | null = null
  /** How many threads the job may use now, and all such numbers since it began. */
  private threads = 1
  private readonly threadsHad = new Set<number>()
  private constructor(
    private readonly units: ReadonlyMap<string, Unit>,
    private readonly out: string,
    private readonly backend: Backend,
    private readonly precision: Precision,
    private readonly computing: Computing,
    private readonly pipelineRun: PipelineRun,
    private readonly commit: Commit | null,
    private readonly services: Context.Context<Store | Progress | Leases | Owners>,
  ) {}

  static readonly open = Effect.fn("Session.open")(function* (request: Extract<Request, { type: "open" }>) {
    const { copy } = request
    const opened = copy?.file ?? request.file
    const definition = yield* loadPipeline(opened)
    const { file, parameters, branch, precision, out } = request
    const backend = yield* declaredBackend(request.backend)
    const computing = computingOf(backend, precision, request.model)
    yield* pinCommits(request.revisions ?? {})
    const whole = yield* openPipeline(opened, definition, parameters, computing)
    const graph =
      branch === undefined ? whole : (yield* openBranch(whole, definition, branch, computing)).graph
    if (copy !== undefined && copy.units !== digestOfUnits(graph)) return undefined
    const units = new Map(graph.units.map((unit) => [unit.key, unit]))
    const services = yield* Layer.buildWithScope(
      Layer.mergeAll(
        Store.layer(out),
        progress,
        Layer.provideMerge(
          Leases.layer(out),
          Owners.layer(out, { role: "worker", command: request.command }),
        ),
      ),
      processScope,
    )
    const run: PipelineRun = {
      command: request.command,
      pipeline: {
        name: definition.name,
        file,
        parameters: parameters as PipelineRun["pipeline"]["parameters"],
      },
    }
    return new Session(units, out, backend, precision, computing, run, request.commit, services)
  })

  readonly run = Effect.fnUntraced(
    { self: this },
    function* (this: Session, request: Extract<Request, { type: "run" }>) {
      const job = this.jobOf(request)
      this.threadsHad.clear()
      yield* this.setThreads(request.threads)
      if (job !== undefined && usesBackend(job) && !this.started) {
        say({ type: "starting" })
        const started = yield* Effect.exit(this.start)
        if (Exit.isFailure(started)) {
          if (Cause.hasInterrupts(started.cause)) return yield* Effect.interrupt
          return say({ type: "unavailable", reason: reasonOf(started.cause) })
        }
        this.started = true
        // The share may have changed while the backend started.
        yield* this.setThreads(this.threads)
        // Only now is all its code loaded, and the keys were made before.
        forgetSources()
        const computing = yield* computingHere(this.backend, this.precision)
        if (computing.arithmetic !== this.computing.arithmetic) {
          this.elsewhere = `planned for ${this.computing.arithmetic}, but this machine computes by ${computing.arithmetic}; run it on a machine like that of the plan, or plan it again for this one`
        } else this.edited = canonicalJson(computing) !== canonicalJson(this.computing)
      }
      // What computes no tensors may still be made here.
      if (job !== undefined && usesBackend(job) && this.elsewhere !== undefined) {
        return say({ type: "unavailable", reason: this.elsewhere })
      }
      if (job === undefined || this.edited) {
        return say({
          type: "refused",
          reason:
            "a source file, or a file that a plugin reads, has changed since the start; start again to use the new version",
        })
      }
      const missing: Missing = new Map(request.missing.map((failure) => [failure.key, failure]))
      yield* this.runLeased(job, missing).pipe(Effect.scoped, Effect.provide(this.services))
    },
  )

  private readonly start = Effect.gen({ self: this }, function* (this: Session) {
    const { threads, precision } = this
    yield* this.backend.check
    yield* startBackend(this.backend, { threads, precision })
    this.instructions = yield* this.backend.instructions ?? Effect.succeed(null)
  })

  /** Runs a job while no other process makes its units: what one has made by now is not made again. */
  private readonly runLeased = Effect.fnUntraced(
    { self: this },
    function* (this: Session, job: Job, missing: Missing) {
      const held = yield* (yield* Leases).take(unitsGivenBy(job))
      if (held !== undefined) {
        return say({ type: "held", by: yield* this.describeHolder(held.owner) })
      }
      say({ type: "begun" })
      const { job: left, outcomes } = yield* remaining(job, missing)
      const made =
        left === undefined ? [] : yield* runJob(left, this.computing.arithmetic, missing, this.origin)
      const failed = made.some((outcome) => outcome.status === "failed" && outcome.kind === "plugin")
      const worn = failed && this.backend.device !== undefined
      say({ type: "finished", outcomes: [...outcomes, ...made], ...(worn ? { worn } : {}) })
    },
  )

  /** The process that has a lease, which ends a wait that would have no end. */
  private readonly describeHolder = Effect.fnUntraced({ self: this }, function* (this: Session, id: string) {
    const owner = yield* (yield* Owners).find(id)
    const described = describeOwner(owner)
    const stopped = owner === undefined ? undefined : wakeOrphan(owner, ownerPath(this.out, id))
    if (stopped === "woken") {
      console.error(
        `${described} was stopped by a signal, and the command that it worked for is gone: it now goes on, to save its state and end`,
      )
    }
    return stopped === "stopped" ? `${described}, which a signal has stopped,` : described
  })

  /** Changes how many threads the job may use: in a turn of the event loop, hence between two kernels. */
  readonly setThreads = (threads: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      this.threads = threads
      this.threadsHad.add(threads)
      return this.started ? (this.backend.setThreads?.(threads) ?? Effect.void) : Effect.void
    })

  private get origin(): Origin {
    return originHere(this.pipelineRun, this.commit, () => ({
      backend: this.backend.name,
      precision: this.precision,
      instructions: this.instructions,
      threads: this.backend.setThreads === undefined ? null : [...this.threadsHad].sort((a, b) => a - b),
    }))
  }

  private jobOf(request: Extract<Request, { type: "run" }>): Job | undefined {
    const unit = this.units.get(request.unit)
    const observers = request.observers.flatMap((key) => this.units.get(key) ?? [])
    return unit === undefined || observers.length !== request.observers.length
      ? undefined
      : jobFor(unit, request.wanted, observers)
  }
}

/** What ends with this process: its leases among others. */
const processScope = Scope.makeUnsafe()
let session: Session | undefined
let working: Fiber.Fiber<void, never> | undefined
let stopping = false

const answer = (
  request: Extract<Request, { type: "open" | "run" }>,
): Effect.Effect<void, { readonly message: string }> =>
  request.type === "open"
    ? Effect.map(Session.open(request), (opened) => {
        session = opened
        say({ type: opened === undefined ? "differs" : "ready" })
      })
    : (session?.run(request) ?? Effect.void)

/** Also if a plugin interrupts itself, or there is a bug here. */
const reasonOf = (cause: Cause.Cause<{ readonly message: string }>): string => {
  const error = Cause.findError(cause)
  return Result.isSuccess(error) ? error.success.message : Cause.pretty(cause)
}

/** Interrupts the work, which saves its state, and exits. */
const stop = (code: number): void => {
  if (stopping) return
  stopping = true
  const saved = working === undefined ? Effect.void : Fiber.interrupt(working)
  Effect.runPromise(Effect.andThen(saved, Scope.close(processScope, Exit.void))).finally(() =>
    process.exit(code),
  )
}

// The supervising process decides what stops when, even if a Ctrl-C or the end of a terminal reaches this
// one too.
process.on("SIGINT", () => {})
process.on("SIGHUP", () => {})
process.on("SIGTERM", () => stop(terminatedCode))

readLines(process.stdin, (line) => {
  const request = Request(JSON.parse(line))
  if (request instanceof type.errors) throw new Error(`invalid request: ${request.summary}`)
  if (request.type === "stop") {
    stop(0)
    return
  }
  if (request.type === "threads") {
    if (session !== undefined) Effect.runFork(session.setThreads(request.threads))
    return
  }
  working = Effect.runFork(
    Effect.catchCause(answer(request), (cause) =>
      Effect.sync(() => {
        // Without a reply, the supervising process would wait forever.
        if (!stopping) say({ type: "refused", reason: reasonOf(cause) })
      }),
    ),
  )
})
for (const end of ["end", "error"]) process.stdin.on(end, () => stop(0))
