import { Data, Effect } from "effect"

/**
 * The end of a command with an exit code: 1 where units failed or figures are off, 2 where the input was refused.
 * `message` is empty where everything was said already.
 */
export class ExitCode extends Data.TaggedError("ExitCode")<{
  readonly code: number
  readonly message: string
}> {}

export const exitWith = (code: number, message = ""): Effect.Effect<never, ExitCode> =>
  Effect.fail(new ExitCode({ code, message }))
