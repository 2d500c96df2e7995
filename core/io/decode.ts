import { type } from "arktype"
import { Data, Effect } from "effect"
import { printable } from "./format.ts"

/** Input from outside (an option, a file, the command line) that does not match its declared type. */
export class InvalidInput extends Data.TaggedError("InvalidInput")<{
  /** What was read: an option's owner, a file with its line, a flag. */
  readonly what: string
  /** Each with its path, what was expected and what was found. */
  readonly problems: readonly string[]
}> {
  /** A single problem follows on the same line; several have a line each. One slip floods no screen. */
  override get message() {
    const [what, ...problems] = [this.what, ...this.problems.slice(0, mostProblems)].map(shortLine)
    const hidden = this.problems.length - problems.length
    if (hidden > 0) problems.push(`and ${hidden} more`)
    return problems.length === 1
      ? `${what}: ${problems[0]}`
      : `${what}:\n${problems.map((problem) => `  ${problem}`).join("\n")}`
  }
}

/** Problems and characters of each that a message shows. */
const mostProblems = 20
const longestProblem = 400

const shortLine = (text: string): string =>
  printable(text.length > longestProblem ? `${text.slice(0, longestProblem)}…` : text)

const problemsOf = (errors: type.errors): readonly string[] => [
  ...new Set(errors.map(({ message }) => message)),
]

/**
 * Checks `input` against an arktype and reports all errors at once.
 *
 * @throws InvalidInput with the path of each problem, what was expected and what was found
 */
export const decode =
  <T extends type.Any>(what: string, schema: T) =>
  (input: unknown): Effect.Effect<T["infer"], InvalidInput> => {
    const out = schema(input)
    return out instanceof type.errors
      ? Effect.fail(new InvalidInput({ what, problems: problemsOf(out) }))
      : Effect.succeed(out)
  }
