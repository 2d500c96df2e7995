/** Starts the backend cuda in an environment that `environment.test.ts` gives, and prints what came of it. */
import { Effect, Result } from "effect"
import { startBackend } from "../../../../core/tensor/backend.ts"
import { cuda } from "../../../../plugins/backend/cuda.ts"

/** What came of it: `isAbsent` if `auto` passes over it in silence. */
export interface Outcome {
  readonly message: string
  readonly isAbsent: boolean
  readonly details: readonly string[]
}

const [how] = process.argv.slice(2)
const tried = await Effect.runPromise(
  Effect.result(how === "check" ? cuda.check : Effect.andThen(cuda.check, startBackend(cuda))),
)
const outcome: Outcome = Result.isFailure(tried)
  ? { message: tried.failure.message, isAbsent: tried.failure.isAbsent === true, details: [] }
  : { message: "works", isAbsent: false, details: await Effect.runPromise(cuda.details!) }
console.log(JSON.stringify(outcome))
