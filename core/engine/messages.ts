/** The messages between the supervising process and a worker process: one JSON value per line. */
import { type } from "arktype"
import { precisions } from "../api/precision.ts"
import { Commit } from "../api/provenance.ts"

/**
 * Why a unit failed, which decides what follows:
 *
 * - "plugin": it would fail again; it is not retried before the next run
 * - "lost": its worker process was killed or crashed, each time that it was tried
 * - "memory": its worker process was killed because memory ran out, even with no other job beside it
 * - "time": it was stopped after its time limit; its state is kept
 * - "input": what it takes from the store is damaged
 * - "disk": what it was to write, or read, the disk did not take or give; its state is kept
 * - "blocked": it was not begun, since it needs the output of a unit that failed or diverged
 * - "unneeded": it was not begun, or stopped with its state kept, since all that needed it cannot be made
 */
export const failureKinds = [
  "plugin",
  "lost",
  "memory",
  "time",
  "input",
  "disk",
  "blocked",
  "unneeded",
] as const
export type FailureKind = (typeof failureKinds)[number]

const Failure = type({
  "+": "reject",
  key: "string",
  status: "'diverged'",
  reason: "string",
  "step?": "number",
}).or({
  "+": "reject",
  key: "string",
  status: "'failed'",
  kind: type.enumerated(...failureKinds),
  reason: "string",
  "step?": "number",
  "without?": "string",
})
const Outcome = type({
  "+": "reject",
  key: "string",
  status: "'done'",
  seconds: "number",
  "elsewhere?": "true",
}).or(Failure)

const Threads = type("number.integer >= 1")

/**
 * To the worker. `open` comes first, and once; `threads` may come at any time later and changes how many the job may
 * use, or no job at all; `stop` makes it save its state and exit.
 */
export const Request = type({
  "+": "reject",
  type: "'open'",
  /** The pipeline file. */
  file: "string",
  /** Its copy, which is opened in its place; all units must then have the keys that they have here. */
  "copy?": { "+": "reject", file: "string", units: "string" },
  parameters: "object",
  "branch?": { "+": "reject", run: "string", at: "number", set: "string[]" },
  backend: "string",
  precision: type.enumerated(...precisions),
  /** What the backend computes with, as the plan is for it; left out for one whose bits depend on no device. */
  "model?": "string",
  out: "string",
  /** The command line that started the supervising process. */
  command: "string",
  /** Of the project at work. */
  commit: Commit.or("null"),
  /** The commits of repositories on the hub, by their addresses. */
  "revisions?": "Record<string, string>",
})
  .or({
    "+": "reject",
    type: "'run'",
    unit: "string",
    wanted: "boolean",
    observers: "string[]",
    missing: Failure.array(),
    threads: Threads,
  })
  .or({ "+": "reject", type: "'threads'", threads: Threads })
  .or({ "+": "reject", type: "'stop'" })
export type Request = typeof Request.infer

/**
 * From the worker: `ready` or `refused` for `open`, or `differs` if a copy gives other units; `begun` and in the end
 * `finished` for `run`, or else `refused`, `held` if another process makes one of the job's units, or `unavailable` if
 * the backend did not start, which `starting` announces; `alive` at any time. `worn`: a unit has failed on a device,
 * which for this process may be out of order from then on, or full; the next job needs another process.
 */
export const Reply = type({ "+": "reject", type: "'ready' | 'starting' | 'begun' | 'alive' | 'differs'" })
  .or({ "+": "reject", type: "'refused' | 'unavailable'", reason: "string" })
  .or({ "+": "reject", type: "'held'", by: "string" })
  .or({ "+": "reject", type: "'progress'", done: "number", total: "number", note: "string" })
  .or({ "+": "reject", type: "'finished'", outcomes: Outcome.array(), "worn?": "true" })
export type Reply = typeof Reply.infer

/** The descriptor that a worker writes its replies to: nothing that prints knows it. */
export const repliesDescriptor = 3

/** How often a worker says that it is alive, if its event loop can run, ms. */
export const aliveEvery = 2000

/** The exit code of a worker that was stopped by SIGTERM, which somebody else has sent. */
export const terminatedCode = 128 + 15
