/**
 * Parameters from the command line: `--set name=value`.
 *
 * A value is a number (`1e-5`), `true` or `false`, a list (`1e-5,2e-5`), a range of integers (`1..30`), a list
 * with ranges in it (`1..3,7`), or text. The pipeline's declared type decides: `seeds=1` is the list `[1]` where
 * a list is declared, and the number 1 where a number is.
 */
import { type } from "arktype"
import { Effect } from "effect"
import type { Pipeline } from "../api/pipeline.ts"
import { InvalidInput } from "../io/decode.ts"
import { describeOptions, optionProblem, unknownName } from "../io/options.ts"

/** The part of a pipeline that its parameters are checked against. */
type Declared = Pick<Pipeline, "name" | "parameters">

/** More values than this in one range are a slip of the keyboard. */
const longestRange = 100_000

/**
 * Parameters for a pipeline, checked against its declaration and completed with its defaults.
 *
 * @param assignments each `name=value`
 * @throws InvalidInput naming each wrong assignment, with what was expected
 */
export const parametersOf = (
  definition: Declared,
  assignments: readonly string[],
): Effect.Effect<unknown, InvalidInput> =>
  Effect.suspend(() => {
    const { name: pipeline, parameters: schema } = definition
    const known = describeOptions(schema).map(({ name }) => name)
    const problems: Problem[] = []
    const given = new Map<string, { readonly assignment: string; readonly candidates: readonly unknown[] }>()
    for (const assignment of assignments) {
      const equals = assignment.indexOf("=")
      const name = assignment.slice(0, equals).trim()
      const text = assignment.slice(equals + 1).trim()
      const refuse = (problem: string) => problems.push({ assignment, problem })
      if (equals < 1) refuse("name=value was expected")
      else if (!known.includes(name)) refuse(unknownName("parameter", name, known))
      else if (given.has(name)) refuse(`${name} was set before, by --set ${given.get(name)!.assignment}`)
      else {
        const broken = brokenRanges(text)
        broken.forEach(refuse)
        if (broken.length === 0) given.set(name, { assignment, candidates: readings(text) })
      }
    }
    // Each name takes the first reading of its text that the declaration accepts; without one, the reading that
    // gets furthest stands: `lr=0` is told that lr[0] must be positive, not that it should be a list.
    const chosen: Record<string, unknown> = {}
    for (const [name, { candidates }] of given) {
      const judged = candidates.map((candidate) => ({
        candidate,
        depth: depthOfError(definition, name, candidate),
      }))
      chosen[name] = judged.reduce((best, next) => (next.depth > best.depth ? next : best)).candidate
    }
    const parameters: unknown = schema(chosen)
    if (parameters instanceof type.errors) {
      for (const error of parameters) {
        const name = String(error.path[0])
        // A parameter whose text is refused already is not missing.
        if (error.code === "required" && problems.some(({ assignment }) => assignment.startsWith(`${name}=`)))
          continue
        problems.push({
          assignment: given.get(name)?.assignment ?? `${name}=…`,
          problem: optionProblem(schema, error),
        })
      }
    }
    if (problems.length === 0) return Effect.succeed(parameters)
    return Effect.fail(
      new InvalidInput({
        what: pipeline,
        problems: problems.map(({ assignment, problem }) => `--set ${shortened(assignment)}: ${problem}`),
      }),
    )
  })

interface Problem {
  /** As it was given. */
  readonly assignment: string
  readonly problem: string
}

const shortened = (assignment: string): string =>
  assignment.length > 60 ? `${assignment.slice(0, 59)}…` : assignment

/** How deep in the value of `name` the declaration's first objection lies; infinitely deep where it has none. */
const depthOfError = (definition: Declared, name: string, value: unknown): number => {
  const out: unknown = definition.parameters({ [name]: value })
  if (!(out instanceof type.errors)) return Number.POSITIVE_INFINITY
  const depths = out.filter((error) => error.path[0] === name).map((error) => error.path.length)
  return depths.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...depths)
}

/** The ways in which a text may be meant, the likeliest first. */
const readings = (text: string): readonly unknown[] => {
  const single = scalar(text)
  const list = text
    .split(",")
    .map((part) => part.trim())
    .flatMap((part): readonly unknown[] => range(part) ?? [scalar(part)])
  const words = text.split(",").map((part) => part.trim())
  const isList = text.includes(",") || range(text) !== undefined
  return isList ? [list, words, text] : [single, [single], text, [text], ...(text === "" ? [[]] : [])]
}

const scalar = (text: string): unknown => {
  if (text === "true" || text === "false") return text === "true"
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text
}

const asRange = (text: string) => {
  const match = /^(-?[\d.]+?(?:e\+?\d+)?)\.\.(-?[\d.]+(?:e\+?\d+)?)$/.exec(text)
  if (match === null) return undefined
  const [first, last] = [Number(match[1]), Number(match[2])]
  return { first, last, length: last - first + 1 }
}

/** What looks like a range and is none. */
const brokenRanges = (text: string): readonly string[] =>
  text.split(",").flatMap((part) => {
    const given = asRange(part.trim())
    if (given === undefined) return []
    const { first, last, length } = given
    const expected = `a range of integers, such as 1..30, was expected, found ${part.trim()}`
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) return [expected]
    if (length < 1) return [`${expected}, whose end comes before its start`]
    return length > longestRange ? [`${expected}, which has more than ${longestRange} values`] : []
  })

const range = (text: string): readonly number[] | undefined => {
  const given = asRange(text)
  return given && Array.from({ length: given.length }, (_, i) => given.first + i)
}
