/** The messages between the supervising process and a worker process: one JSON value per line. */
import { type } from "arktype"
import { precisions } from "../api/precision.ts"
import { Commit } from "../api/provenance.ts"

const Failure = type({
  "+": "reject",
  key: "string",
  status: "'diverged' | 'failed'",
  reason: "string",
  "step?": "number",
  "kind?": "'input'",
  "without?": "string",
})
const Outcome = type({ "+": "reject", key: "string", status: "'done'", seconds: "number" }).or(Failure)

const Threads = type("number.integer >= 1")

/**
 * To the worker. `open` comes first, and once; `threads` may come at any time later and changes how many the job may
 * use, or no job at all; `stop` makes it save its state and exit.
 */
export const Request = type({
  "+": "reject",
  type: "'open'",
  file: "string",
  parameters: "object",
  "branch?": { "+": "reject", run: "string", at: "number", set: "string[]" },
  backend: "string",
  precision: type.enumerated(...precisions),
  out: "string",
  /** The command line that started the supervising process. */
  command: "string",
  /** Of the project at work. */
  commit: Commit.or("null"),
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

/** From the worker. */
export const Reply = type({ "+": "reject", type: "'ready'" })
  .or({ "+": "reject", type: "'refused'", reason: "string" })
  .or({ "+": "reject", type: "'progress'", done: "number", total: "number", note: "string" })
  .or({ "+": "reject", type: "'finished'", outcomes: Outcome.array() })
export type Reply = typeof Reply.infer
