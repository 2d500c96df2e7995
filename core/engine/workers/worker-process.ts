/** One worker process, seen from the process that supervises it. */
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import { type } from "arktype"
import { type Clock, Data, Effect } from "effect"
import { formatSeconds } from "../../io/format.ts"
import { moduleExtension, projectVariable } from "../../io/project.ts"
import { runtimeArguments } from "../../io/runtime.ts"
import type { LaunchedCode } from "../freeze.ts"
import { Reply, type Request, repliesDescriptor, terminatedCode } from "../messages.ts"
import { readLines } from "./lines.ts"
import { type Vitals, vitalsOf } from "./vitals.ts"
import { Watchdog } from "./watchdog.ts"

/** A worker process that ended on its own, or that could not open the pipeline. */
export class WorkerLost extends Data.TaggedError("WorkerLost")<{
  /** "plugin" if another process would end the same way. */
  readonly kind: "plugin" | "lost" | "memory"
  readonly reason: string
  /** Whether it had begun the job: one that dies while it has nothing to do may be noticed too late. */
  readonly begun: boolean
  /** Whether it crashed while it started the backend. */
  readonly starting: boolean
  /** The last lines that it printed. */
  readonly output: readonly string[]
  /** The most memory that it was seen to use, bytes; undefined where that cannot be seen. */
  readonly peakMemory: number | undefined
}> {
  override get message() {
    return this.reason
  }
}

/** What to make of a process that was killed by SIGKILL: memory may have run out. */
export type Diagnose = () => Pick<WorkerLost, "kind" | "reason">

type Said<T extends Reply["type"]> = Extract<Reply, { type: T }>

/** Receives what a worker says of its job before it has ended. */
export interface WorkListener {
  readonly begun: Effect.Effect<void>
  readonly progress: (progress: Said<"progress">) => Effect.Effect<void>
  /** Receives what it prints. */
  readonly printed: (line: string) => void
}

/** Signals that the kernel or a library sends to the process whose fault it is. */
const crashes: ReadonlySet<NodeJS.Signals> = new Set([
  "SIGABRT",
  "SIGBUS",
  "SIGFPE",
  "SIGILL",
  "SIGSEGV",
  "SIGTRAP",
])

/** How many of the last lines that a worker printed the report of a crash includes. */
const keptLines = 20

/** How long after a worker has exited its last output is waited for, ms. */
const longestOutput = 1000

/** Saving the state of a large model takes a while; a worker that takes longer than this to stop is killed. */
const longestStop = "2 minutes"

export class WorkerProcess {
  private readonly output: string[] = []
  private listener: (reply: Reply | WorkerLost) => void = () => {}
  private printed: (line: string) => void = () => {}
  private lost: WorkerLost | undefined
  private begun = false
  private starting = false
  /** Whether it has exited or was asked to stop: it takes no more jobs. */
  ended = false
  /** When it was last looked at. */
  private vitals: Vitals | undefined
  private readonly child: ChildProcess
  private readonly watchdog: Watchdog

  /** Starts a process, which has yet to open the pipeline. */
  constructor(
    private readonly clock: Clock.Clock,
    diagnose: Diagnose,
    onLog: (line: string) => void,
    private readonly code: LaunchedCode,
    environment: Readonly<Record<string, string>>,
  ) {
    const script = join(code.package, "core", "engine", `worker${moduleExtension}`)
    // Its own session: Ctrl-C and a closed terminal reach only the supervising process, which makes the workers save
    // and stop.
    const child = spawn(process.execPath, runtimeArguments(script), {
      stdio: ["pipe", "pipe", "pipe", "pipe"],
      detached: true,
      env: {
        ...process.env,
        ...environment,
        ...(code.copied === undefined ? {} : { [projectVariable]: code.copied.to }),
      },
    })
    this.child = child
    this.watchdog = new Watchdog(this.now)
    // Of a process that could not be started there is none.
    const replies = child.stdio[repliesDescriptor] as Readable | null | undefined
    if (replies) readLines(replies, this.onReply)
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on("line", (printed) => {
        const line = this.original(printed)
        this.watchdog.heard(this.now)
        this.output.push(line)
        if (this.output.length > keptLines) this.output.shift()
        onLog(line)
        this.printed(line)
      })
    }
    child.on("error", (cause) => this.lose("lost", `cannot start a worker process: ${cause.message}`))
    const gone = (code: number | null, signal: NodeJS.Signals | null) => {
      if (this.lost !== undefined) return
      if (signal === "SIGKILL") {
        const { kind, reason } = diagnose()
        this.lose(kind, reason)
      } else if (signal !== null) {
        this.lose("lost", `the worker process was killed by ${signal}`, crashes.has(signal))
      }
      // Somebody else has asked it to stop, and it has saved its state.
      else if (code === terminatedCode) this.lose("lost", "the worker process was ended by SIGTERM")
      else this.lose("plugin", `the worker process ended with exit code ${code}`, true)
    }
    // A process that its job has started may keep the output open.
    child.once("exit", (code, signal) => {
      const close = () => {
        for (const stream of child.stdio) stream?.destroy()
        gone(code, signal)
      }
      const timer = setTimeout(close, longestOutput)
      child.once("close", () => {
        clearTimeout(timer)
        close()
      })
    })
    // Its exit reports a worker that is gone; writing to it, or reading from it, must not throw as well.
    for (const stream of [child.stdin, replies]) stream?.on("error", () => {})
  }

  private readonly onReply = (line: string): void => {
    this.watchdog.heard(this.now)
    const reply = readReply(this.original(line))
    if (reply !== undefined) this.listener(reply)
    else {
      this.child.kill("SIGKILL")
      this.lose("plugin", `the worker process sent a reply that cannot be read: ${line.slice(0, 200)}`)
    }
  }

  /** A line that it said: it names files of the project, not of the copy, where nobody edits them. */
  private original(line: string): string {
    const { copied } = this.code
    return copied === undefined ? line : line.replaceAll(copied.to, copied.from)
  }

  /** Makes a new process open the pipeline; gives whether it has the units that were asked for. */
  readonly open = Effect.fn("WorkerProcess.open")(
    { self: this },
    function* (this: WorkerProcess, request: Extract<Request, { type: "open" }>) {
      const reply = yield* this.ask(request, {
        begun: Effect.void,
        progress: () => Effect.void,
        printed: () => {},
      })
      if (reply.type !== "refused") return reply.type === "ready"
      yield* this.stop
      return yield* new WorkerLost({
        kind: "plugin",
        reason: reply.reason,
        begun: false,
        starting: false,
        output: [],
        peakMemory: undefined,
      })
    },
  )

  /** The memory that it was last seen to use, until it is known to be gone, bytes. */
  get memory(): number {
    return this.lost === undefined ? (this.vitals?.memory ?? 0) : 0
  }

  get pid(): number | undefined {
    return this.child.pid
  }

  private get now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1e9
  }

  private lose(kind: WorkerLost["kind"], reason: string, crashed = false) {
    this.ended = true
    const { begun, output, vitals } = this
    this.lost ??= new WorkerLost({
      kind,
      reason,
      begun,
      starting: crashed && this.starting,
      output: [...output],
      peakMemory: vitals?.peakMemory,
    })
    this.listener(this.lost)
  }

  /** Sends a request and waits for the reply that ends it. */
  ask(request: Request, { begun, progress, printed }: WorkListener) {
    return Effect.callback<Exclude<Reply, Said<"progress" | "starting" | "begun" | "alive">>, WorkerLost>(
      (resume) => {
        if (this.lost !== undefined) return resume(Effect.fail(this.lost))
        this.printed = printed
        this.begun = false
        this.starting = false
        this.listener = (reply) => {
          if (reply instanceof WorkerLost) return resume(Effect.fail(reply))
          if (reply.type === "alive") return
          this.starting = reply.type === "starting"
          if (reply.type === "progress") Effect.runFork(progress(reply))
          else if (reply.type === "begun") {
            this.begun = true
            Effect.runFork(begun)
          } else if (reply.type !== "starting") resume(Effect.succeed(reply))
        }
        this.write(request)
      },
    )
  }

  /** Changes how many threads its job may use. */
  readonly setThreads = (threads: number): void => {
    if (!this.ended) this.write({ type: "threads", threads })
  }

  private write(request: Request) {
    this.child.stdin!.write(`${JSON.stringify(request)}\n`)
  }

  /** Whether it still lives: a process that neither answers nor computes is killed. To be called every `lookEvery` s. */
  look(): void {
    if (this.ended || this.child.pid === undefined) return
    this.vitals = vitalsOf(this.child.pid) ?? this.vitals
    const silence = this.watchdog.look(this.now, this.vitals?.cpuSeconds)
    if (silence === undefined) return
    const how = this.vitals?.stopped === true ? "was stopped by a signal and" : "did not answer and"
    const reason = `the worker process ${this.child.pid} ${how} did nothing for ${formatSeconds(silence)}: it was killed`
    this.child.kill("SIGKILL")
    this.lose("lost", reason)
  }

  /** Lets it save its state and exit, and waits until it is gone, however it ends. */
  readonly stop = Effect.suspend(() => {
    const { child } = this
    if (!this.ended) {
      this.ended = true
      // One that a signal has stopped could not save anything.
      child.kill("SIGCONT")
      child.stdin!.end(`${JSON.stringify({ type: "stop" } satisfies Request)}\n`)
    }
    // Without an id it was never there.
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return Effect.void
    const gone = Effect.callback<void>((resume) => {
      child.once("exit", () => resume(Effect.void))
    })
    return gone.pipe(
      Effect.timeoutOrElse({
        duration: longestStop,
        orElse: () => Effect.sync(() => void child.kill("SIGKILL")),
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
