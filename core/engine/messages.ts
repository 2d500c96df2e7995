/** What the supervising process and a worker process say to each other: one JSON value a line. */
import { type } from "arktype"
import { precisions } from "../tensor/backend.ts"

const Failure = type({
  "+": "reject",
  key: "string",
  status: "'diverged' | 'failed'",
  reason: "string",
  "step?": "number",
  "without?": "string",
})
const Outcome = type({ "+": "reject", key: "string", status: "'done'", seconds: "number" }).or(Failure)

/** To the worker. `open` comes first and once; `stop` asks it to save its state and end. */
export const Request = type({
  "+": "reject",
  type: "'open'",
  file: "string",
  parameters: "object",
  backend: "string",
  threads: "number.integer >= 1",
  precision: type.enumerated(...precisions),
  out: "string",
})
  .or({
    "+": "reject",
    type: "'run'",
    unit: "string",
    wanted: "boolean",
    observers: "string[]",
    missing: Failure.array(),
  })
  .or({ "+": "reject", type: "'stop'" })
export type Request = typeof Request.infer

/** From the worker. */
export const Reply = type({ "+": "reject", type: "'ready'" })
  .or({ "+": "reject", type: "'refused'", reason: "string" })
  .or({ "+": "reject", type: "'progress'", done: "number", total: "number", note: "string" })
  .or({ "+": "reject", type: "'finished'", outcomes: Outcome.array() })
export type Reply = typeof Reply.infer
