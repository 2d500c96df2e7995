import type { type } from "arktype"
import { shortNumber } from "./format.ts"
import { nearestName, unknownName } from "./nearest-name.ts"

/** An option of a plugin or a parameter of a pipeline, described for people. */
export interface OptionDescription {
  readonly name: string
  /** What is expected, in words: `list of integers >= 1`. */
  readonly expected: string
  /** The default as {@link settingText}; undefined if the option is required, null if it is optional. */
  readonly fallback: string | null | undefined
}

/** The parts of arktype's internal nodes that are read here: it does not type them for types in general. */
interface TypeNode {
  readonly kind: string
  readonly expression: string
  /** Text that the author set with `describe`. */
  readonly meta: { readonly description?: string }
  readonly inner: {
    readonly in?: TypeNode
    readonly domain?: { readonly expression: string }
    readonly divisor?: { readonly rule: number }
    readonly min?: Bound
    readonly max?: Bound
    readonly minLength?: { readonly rule: number }
    readonly structure?: {
      readonly props?: readonly Property[]
      readonly inner: { readonly sequence?: { readonly variadic?: TypeNode } }
    }
    readonly unit?: unknown
  }
  readonly branches?: readonly TypeNode[]
  readonly props?: readonly Property[]
}

interface Bound {
  readonly rule: number
  readonly exclusive?: true
}

interface Property {
  readonly key: PropertyKey
  readonly kind: "required" | "optional"
  readonly value: TypeNode
  readonly default?: unknown
}

const articles = /^(an?|the) /

/** What a type accepts, in a few words. */
const inWords = (node: TypeNode): string => {
  // An author's description is written to follow arktype's "must be".
  if (node.meta.description !== undefined) return node.meta.description.replace(articles, "")
  const { inner, branches = [] } = node
  if ("unit" in inner) return typeof inner.unit === "string" ? `'${inner.unit}'` : String(inner.unit)
  if (branches.length > 1) {
    return node.expression === "boolean" ? "true | false" : branches.map(inWords).join(" | ")
  }
  const element = inner.structure?.inner.sequence?.variadic
  if (element !== undefined) return listInWords(element, inner.minLength !== undefined)
  const domain = node.kind === "domain" ? node.expression : inner.domain?.expression
  if (domain === "number") return numberInWords(node)
  if (domain === "string") return inner.minLength === undefined ? "text" : "non-empty text"
  if (domain === "object" && inner.structure?.props !== undefined && inner.structure.props.length > 0) {
    const fields = inner.structure.props.map(
      ({ key, kind, value }) => `${String(key)}${kind === "optional" ? "?" : ""}: ${inWords(value)}`,
    )
    return `{ ${fields.join(", ")} }`
  }
  return node.expression
}

const numberInWords = ({ inner: { divisor, min, max } }: TypeNode): string => {
  const kind =
    divisor === undefined ? "number" : divisor.rule === 1 ? "integer" : `multiple of ${divisor.rule}`
  const inclusive = min?.exclusive !== true && max?.exclusive !== true
  if (min !== undefined && max !== undefined && inclusive) return `${kind} from ${min.rule} to ${max.rule}`
  const bounds = [
    ...(min === undefined ? [] : [`${min.exclusive ? ">" : ">="} ${min.rule}`]),
    ...(max === undefined ? [] : [`${max.exclusive ? "<" : "<="} ${max.rule}`]),
  ]
  return [kind, bounds.join(" and ")].join(" ").trimEnd()
}

const listInWords = (element: TypeNode, nonEmpty: boolean): string => {
  const words = inWords(element)
  const several = words.includes(" | ")
    ? `(${words})`
    : words.replace(/^(non-empty text|text|number|integer)/, "$1s").replace(/^multiple/, "multiples")
  return `${nonEmpty ? "non-empty " : ""}list of ${several}`
}

/** Longer lists are truncated. */
const longestList = 8

/** Whether a value is a component (`core/api/component.ts`), which a pipeline file makes by a call. */
const isCall = (
  value: unknown,
): value is { readonly name: string; readonly options: Readonly<Record<string, unknown>> } =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "component"

/** A value as one types it after `--set name=`; a long list is truncated. */
export const settingText = (value: unknown): string => {
  if (typeof value === "number") return shortNumber(value)
  if (Array.isArray(value)) {
    const range =
      value.length > 2 && value.every((item, i) => Number.isInteger(item) && item === value[0] + i)
    if (range) return `${value[0]}..${value.at(-1)}`
    const shown = value.slice(0, longestList).map(settingText)
    return [...shown, ...(value.length > longestList ? ["…"] : [])].join(",")
  }
  if (isCall(value)) {
    const given = Object.entries(value.options).map(([name, option]) => `${name}: ${settingText(option)}`)
    return `${value.name}(${given.length === 0 ? "{}" : `{ ${given.join(", ")} }`})`
  }
  if (typeof value === "object" && value !== null) return JSON.stringify(value)
  return value === "" ? "''" : String(value)
}

/** A narrowed object with defaults is a morph, whose input side declares the options. */
const propertiesOf = (node: TypeNode): readonly Property[] => (node.inner.in ?? node).props ?? []

/** arktype types its nodes only if the object's own type is known, but this may be any plugin's. */
const nodeOf = (schema: type.Any) => schema as unknown as TypeNode

/** The options of the innermost object on this path: those of `steps` for `steps.at`. */
const siblingsOf = (node: TypeNode, path: readonly PropertyKey[]): readonly Property[] => {
  // The branches of a union have different options; arktype's own message fits better.
  if ((node.branches ?? []).length > 1) return []
  if (path.length <= 1) return propertiesOf(node)
  const element = node.inner.structure?.inner.sequence?.variadic
  if (element !== undefined) return siblingsOf(element, path.slice(1))
  const property = propertiesOf(node).find(({ key }) => key === path[0])
  return property === undefined ? [] : siblingsOf(property.value, path.slice(1))
}

/** `required`, `optional` or `default 0.1`. */
export const fallbackText = ({ fallback }: OptionDescription): string => {
  if (fallback === undefined) return "required"
  return fallback === null ? "optional" : `default ${fallback || "an empty list"}`
}

/** The options that an arktype of an object declares. */
export const describeOptions = (schema: type.Any): readonly OptionDescription[] =>
  propertiesOf(nodeOf(schema)).map((property) => {
    const name = String(property.key)
    const expected = inWords(property.value)
    if (property.kind === "required") return { name, expected, fallback: undefined }
    if (!("default" in property)) return { name, expected, fallback: null }
    const value: unknown = typeof property.default === "function" ? property.default() : property.default
    return { name, expected, fallback: settingText(value) }
  })

/** The string literals that a type accepts, such as the names of sizes. */
const textsOf = ({ branches = [] }: TypeNode): readonly string[] =>
  branches.flatMap(({ inner: { unit } }) => (typeof unit === "string" ? [unit] : []))

/** As arktype writes a path: `branch[0].set.lr`. */
const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (text, key) =>
      typeof key === "number" ? `${text}[${key}]` : `${text}${text === "" ? "" : "."}${String(key)}`,
    "",
  )

/** The message for an error of one option: its name, what was expected and what was found. */
export const optionProblem = (schema: type.Any, error: type.errors[number]): string => {
  const { code, data, message } = error
  const path = [...error.path]
  const siblings = siblingsOf(nodeOf(schema), path)
  const property = siblings.find(({ key }) => key === path.at(-1))
  if (property === undefined && siblings.length > 0 && code === "predicate") {
    const dotted = (key: PropertyKey) => pathText([...path.slice(0, -1), key])
    return unknownName(
      "option",
      dotted(path.at(-1)!),
      siblings.map(({ key }) => dotted(key)),
    )
  }
  const name = String(path[0])
  if (path.length !== 1 || property === undefined) return withValue(message, code, data)
  if (code === "required") return `${name} must be given (${inWords(property.value)})`
  const texts = textsOf(property.value)
  if (typeof data !== "string" || texts.length === 0) return withValue(message, code, data)
  const near = nearestName(data, texts)
  const hint = near === undefined ? "" : `; did you mean ${near}?`
  // For string literals or another type, arktype names only one of the two; the author's description names both.
  const problem =
    property.value.meta.description !== undefined
      ? `${name} must be ${inWords(property.value)} (was ${JSON.stringify(data)})`
      : message
  return `${problem}${hint}`
}

/** For a value of a wrong type, arktype names that type only; the value itself is more helpful. */
const withValue = (message: string, code: string, data: unknown): string =>
  code === "domain" && ["string", "object", "number", "boolean"].includes(typeof data)
    ? message.replace(
        /\(was (?:a string|an object|a number|boolean)\)$/,
        () => `(was ${JSON.stringify(data)})`,
      )
    : message

/** The messages for the errors of options, one line each. */
export const optionProblems = (schema: type.Any, errors: type.errors): readonly string[] =>
  errors.map((error) => optionProblem(schema, error))
