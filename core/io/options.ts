import type { type } from "arktype"

/** One option of a plugin or one parameter of a pipeline, for people. */
export interface OptionDescription {
  readonly name: string
  /** What is expected, in arktype's words. */
  readonly expected: string
  /** The default as JSON; undefined where the option must be given, null where it may be left out. */
  readonly fallback: string | null | undefined
}

interface Property {
  readonly key: PropertyKey
  readonly kind: "required" | "optional"
  readonly value: { readonly expression: string }
  readonly default?: unknown
}

interface ObjectNode {
  readonly props: readonly Property[]
}

/** arktype writes an integer as a number with a divisor, and a non-empty text as a string of a length. */
const readable = (expression: string): string =>
  expression.replaceAll("number % 1", "integer").replaceAll("string >= 1", "non-empty string")

/** The options that an arktype of an object declares, by name. */
export const describeOptions = (schema: type.Any): readonly OptionDescription[] => {
  // arktype types `props` only where the object's own type is known, and here any plugin's may come. An object with
  // defaults that is narrowed is a morph, whose input side declares the options.
  const node = schema as unknown as ObjectNode & { readonly inner: { readonly in?: ObjectNode } }
  const { props } = node.inner.in ?? node
  return props.map((prop) => {
    const name = String(prop.key)
    const expected = readable(prop.value.expression)
    if (prop.kind === "required") return { name, expected, fallback: undefined }
    if (!("default" in prop)) return { name, expected, fallback: null }
    const value: unknown = typeof prop.default === "function" ? prop.default() : prop.default
    return { name, expected, fallback: JSON.stringify(value) }
  })
}

/** The name of `known` that `name` is likely a slip of: at most two edits away. */
export const nearestName = (name: string, known: readonly string[]): string | undefined =>
  known
    .map((candidate) => ({ candidate, edits: editDistance(name, candidate) }))
    .filter(({ edits }) => edits <= 2)
    .sort((a, b) => a.edits - b.edits)[0]?.candidate

/** Levenshtein's distance. */
const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, replace)
    }
    row = next
  }
  return row[b.length]!
}

/** The message of a key that a declaration does not know, with the name that may have been meant. */
export const unknownOption = (name: string, known: readonly string[]): string => {
  const near = nearestName(name, known)
  const hint = near === undefined ? `it knows ${known.join(", ") || "none"}` : `did you mean ${near}?`
  return `there is no option ${name}; ${hint}`
}

/** What an arktype found wrong with options, a line each; unknown keys with the name that may have been meant. */
export const optionProblems = (schema: type.Any, errors: type.errors): readonly string[] => {
  const known = describeOptions(schema).map(({ name }) => name)
  return errors.map((error) => {
    const name = String(error.path[0])
    const undeclared = error.path.length === 1 && error.code === "predicate" && !known.includes(name)
    if (undeclared) return unknownOption(name, known)
    // arktype names the type of what it found; a text that is no number is told better by itself.
    return error.code === "domain" && typeof error.data === "string"
      ? error.message.replace("(was a string)", `(was ${JSON.stringify(error.data)})`)
      : error.message
  })
}
