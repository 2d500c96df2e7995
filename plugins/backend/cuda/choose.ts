/** Starts the GPU in this process, and prints what it then computes with, or why it does not. */
import { Effect, Result } from "effect"
import { cuda } from "../cuda.ts"
import type { Outcome } from "./choice.ts"

const started = await Effect.runPromise(
  Effect.result(Effect.andThen(cuda.register({ threads: 1, precision: "fp32" }), cuda.model!)),
)
const outcome: Outcome = Result.isFailure(started)
  ? { reason: started.failure.reason, remedy: started.failure.remedy }
  : { choice: started.success }
// On a line of its own: libraries may be told to print, too.
process.stdout.write(`\n${JSON.stringify(outcome)}`)
