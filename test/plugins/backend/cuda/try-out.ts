/** Starts the backend cuda in an environment that `environment.test.ts` gives, and prints what came of it. */
import { Effect, Result } from "effect"
import { startBackend } from "../../../../core/tensor/backend.ts"
import { cuda } from "../../../../plugins/backend/cuda.ts"

/** What came of it: `isAbsent` if `auto` passes over it in silence. */
export interface Outcome {
  readonly message: string
  readonly isAbsent: boolean
  readonly details: readonly string[]
  /** What results are keyed by. */
  readonly model: string | undefined
}

const [how] = process.argv.slice(2)
const tried = await Effect.runPromise(
  Effect.result(
    Effect.gen(function* () {
      if (how !== "model") yield* cuda.check
      if (how === "start") yield* startBackend(cuda)
      return {
        details: how === "start" ? yield* cuda.details! : [],
        model: how === "check" ? undefined : yield* cuda.model!,
      }
    }),
  ),
)
const outcome: Outcome = Result.isFailure(tried)
  ? {
      message: tried.failure.message,
      isAbsent: tried.failure.isAbsent === true,
      details: [],
      model: undefined,
    }
  : { message: "works", isAbsent: false, ...tried.success }
console.log(JSON.stringify(outcome))
