/**
 * Parameters from the command line: `--set name=value`.
 *
 * A value is a number (`1e-5`), `true` or `false`, a list (`1e-5,2e-5`), a range of integers (`1..30`), a list
 * with ranges in it (`1..3,7`), or text. The declared type decides: `seeds=1` is the list `[1]` if a list is
 * declared, and the number 1 if a number is.
 */
import { type } from "arktype"
import { Effect } from "effect"
import type { ComponentMaker } from "../api/component.ts"
import type { Pipeline } from "../api/pipeline.ts"
import { InvalidInput } from "../io/decode.ts"
import { unknownName } from "../io/nearest-name.ts"
import { describeOptions, optionProblem } from "../io/options.ts"
import { componentProblem, componentsReadAs } from "./component-text.ts"

/** What assignments are checked against. */
export interface Settable {
  /** Whose they are, for messages. */
  readonly what: string
  /** What each of them is. */
  readonly kind: "parameter" | "option"
  /** An arktype of an object. */
  readonly schema: type.Any
  /** What comes before each name on the command line. */
  readonly prefix?: string
  /** The flag that sets them; by default `--set`. */
  readonly flag?: string
  /** Those that a text may name. */
  readonly components?: readonly ComponentMaker[]
  /** What to say of a name that is not one of them, if that is known better than what is near it. */
  readonly unknown?: (name: string) => string | undefined
}

/** A longer list, its ranges counted out, is considered a typing error. */
const longestList = 10_000
/** Characters of an assignment. */
const longestAssignment = 50_000
/** Of a longer list only so many values are judged at first: each that is wrong is a problem of its own. */
const judgedAtFirst = 100

/**
 * Parameters for a pipeline, checked against its declaration and completed with its defaults.
 *
 * @param assignments each `name=value`
 * @param prefix what came before each name on the command line
 * @throws InvalidInput listing the wrong assignments, with what was expected
 */
export const pipelineParameters = (
  { name: what, parameters: schema }: Pick<Pipeline, "name" | "parameters">,
  assignments: readonly string[],
  prefix = "",
): Effect.Effect<unknown, InvalidInput> => settings({ what, kind: "parameter", schema, prefix }, assignments)

/** The same for whatever can be set. */
export const settings = (
  settable: Settable,
  assignments: readonly string[],
): Effect.Effect<unknown, InvalidInput> =>
  Effect.suspend(() => {
    const { what, kind, schema, components = [] } = settable
    const prefix = `${settable.flag ?? "--set"} ${settable.prefix ?? ""}`
    const known = describeOptions(schema).map(({ name }) => name)
    const problems: string[] = []
    const refuse = (assignment: string, problem: string) =>
      problems.push(`${prefix}${shortened(assignment)}: ${problem}`)
    const given = new Map<string, Assignment>()
    const refused = new Set<string>()
    for (const assignment of assignments) {
      const equals = assignment.indexOf("=")
      const name = assignment.slice(0, equals).trim()
      const text = assignment.slice(equals + 1).trim()
      if (assignment.length > longestAssignment) {
        const found = `expected at most ${longestAssignment} characters, found ${assignment.length}`
        refuse(assignment, found)
        if (known.includes(name)) refused.add(name)
      } else if (equals < 1) refuse(assignment, "expected name=value")
      else if (!known.includes(name))
        refuse(assignment, settable.unknown?.(name) ?? unknownName(kind, name, known))
      else if (given.has(name))
        refuse(assignment, `${name} is already set by ${prefix}${given.get(name)!.text}`)
      else {
        const named = componentsReadAs(text, components, scalar)
        const broken = [...listProblems(text), ...named.problems]
        for (const problem of broken) refuse(assignment, problem)
        if (broken.length > 0) refused.add(name)
        else given.set(name, { text: assignment, candidates: [...named.read, ...readings(text)] })
      }
    }
    // Each name takes the first reading of its text that the declaration accepts. If there is none, the closest
    // reading is reported: for `lr=0`, that lr[0] must be positive, not that a list was expected.
    const chosen: Record<string, unknown> = {}
    for (const [name, { candidates }] of given) {
      const judged = candidates.map((candidate) => {
        const some = Array.isArray(candidate) ? candidate.slice(0, judgedAtFirst) : candidate
        const fit = fitOf(schema, name, some)
        return { candidate: fit === Number.POSITIVE_INFINITY ? candidate : some, fit }
      })
      chosen[name] = judged.reduce((best, next) => (next.fit > best.fit ? next : best)).candidate
    }
    const parameters: unknown = schema(chosen)
    if (parameters instanceof type.errors) {
      for (const error of parameters) {
        const name = String(error.path[0])
        const assignment = given.get(name)
        if (assignment !== undefined) {
          const problem = componentProblem(schema, name, assignment.text.replace(/^[^=]*=/, ""), components)
          refuse(assignment.text, problem ?? optionProblem(schema, error))
        } else if (!refused.has(name))
          problems.push(`${optionProblem(schema, error)}, with ${prefix}${name}=…`)
      }
    }
    return problems.length > 0
      ? Effect.fail(new InvalidInput({ what, problems }))
      : Effect.succeed(parameters)
  })

interface Assignment {
  /** As it was given: `seeds=1..5`. */
  readonly text: string
  /** The possible readings of its value, the likeliest first. */
  readonly candidates: readonly unknown[]
}

const shortened = (assignment: string): string =>
  assignment.length > 60 ? `${assignment.slice(0, 59)}…` : assignment

/** More than the depth of any value. */
const rightType = 1000

/**
 * How well a value fits the declaration of `name`: infinitely if it is accepted. Otherwise a value of the right type
 * beats one of a wrong type, and an error deep inside it beats one of the whole.
 */
const fitOf = (schema: type.Any, name: string, value: unknown): number => {
  const out: unknown = schema({ [name]: value })
  const errors = out instanceof type.errors ? out.filter((error) => error.path[0] === name) : []
  if (errors.length === 0) return Number.POSITIVE_INFINITY
  const wrongType = errors.some(({ code }) => code === "domain" || code === "proto")
  return Math.max(...errors.map(({ path }) => path.length)) + (wrongType ? 0 : rightType)
}

/** The possible readings of a text, the likeliest first. */
const readings = (text: string): readonly unknown[] => {
  const single = scalar(text)
  const list = text
    .split(",")
    .map((part) => part.trim())
    .flatMap((part): readonly unknown[] => range(part) ?? [scalar(part)])
  const words = text.split(",").map((part) => part.trim())
  const isList = text.includes(",") || range(text) !== undefined
  if (text === "null") return [null, text, [text]]
  return isList ? [list, words, text] : [single, [single], text, [text], ...(text === "" ? [[]] : [])]
}

const scalar = (text: string): unknown => {
  if (text === "true" || text === "false") return text === "true"
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text
}

/** Characters of a range's text; a longer one is none. */
const longestInRange = 50

const asRange = (text: string) => {
  if (text.length > longestInRange) return undefined
  const match = /^(-?[\d.]+?(?:e\+?\d+)?)\.\.(-?[\d.]+(?:e\+?\d+)?)$/.exec(text)
  if (match === null) return undefined
  const [first, last] = [Number(match[1]), Number(match[2])]
  return { first, last, length: last - first + 1 }
}

/** Why a text is not a list: parts that look like ranges but are not valid ones, or too many values. */
const listProblems = (text: string): readonly string[] => {
  let count = 0
  const problems = text.split(",").flatMap((part) => {
    const expected = `expected a range of integers such as 1..30, found ${part.trim()}`
    const given = asRange(part.trim())
    if (given === undefined) {
      count++
      return /^(-?\d+\.\.|\.\.-?\d+)$/.test(part.trim()) ? [expected] : []
    }
    const { first, last, length } = given
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) return [expected]
    if (length < 1) return [`${expected}, which ends before it starts`]
    count += length
    return []
  })
  return problems.length > 0 || count <= longestList
    ? problems
    : [`expected a list of at most ${longestList} values, found ${count}`]
}

const range = (text: string): readonly number[] | undefined => {
  const given = asRange(text)
  return given && Array.from({ length: given.length }, (_, i) => given.first + i)
}
