import { Data, Effect } from "effect"

/**
 * Ends a command with an exit code: 1 if units failed, figures are off or no backend works; 2 if the input was refused.
 * `message` is empty if everything has been reported already.
 */
export class ExitCode extends Data.TaggedError("ExitCode")<{
  readonly code: number
  readonly message: string
}> {}

export const exitWith = (code: number, message = ""): Effect.Effect<never, ExitCode> =>
  Effect.fail(new ExitCode({ code, message }))
