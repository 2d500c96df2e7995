/** Reads the comments on a pipeline's parameters or a plugin's options from its source. */
import { readFile } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import type { type } from "arktype"
import type { Argument, Expression, ObjectExpression, ObjectProperty } from "oxc-parser"
import { describeOptions, type OptionDescription } from "../io/options.ts"

/** A parsed file. */
interface Source {
  readonly path: string
  readonly text: string
  readonly comments: readonly { readonly value: string; readonly start: number; readonly end: number }[]
  /** Its constants, by name. */
  readonly constants: ReadonlyMap<string, Expression>
  /** Names that it imports from files of this project, with the file and the name there. */
  readonly imports: ReadonlyMap<string, { readonly path: string; readonly name: string }>
  /** Every object literal in it. */
  readonly objects: readonly ObjectExpression[]
}

/**
 * The comments on the properties of a declaration, in source order; empty for a property without one.
 *
 * A property's comment ends on the line above it, or follows it on its line. The declaration is the object passed to
 * arktype's `type`, in place or as a constant. Objects that are spread into it are followed, also into another file of
 * the project.
 *
 * @param path a TypeScript file
 * @param owner the `name` of the pipeline or plugin in it
 * @param property which of its properties holds the declaration
 * @returns an empty map if the source is written in another way or cannot be read
 */
export const docCommentsOf = async (
  path: string,
  owner: string,
  property: "parameters" | "options",
): Promise<ReadonlyMap<string, string>> => {
  const source = await parsed(path).catch(() => undefined)
  const declared = source?.objects
    .find((object) => textOf(propertyOf(object, "name")) === owner)
    ?.properties.find((member) => member.type === "Property" && nameOf(member) === property)
  const comments = new Map<string, string>()
  if (source !== undefined && declared?.type === "Property")
    await collect(source, declared.value, comments, 2)
  return comments
}

/** An option of a plugin or a parameter of a pipeline, with the comment on it. */
export type DocumentedOption = OptionDescription & { readonly comment: string }

/**
 * What `schema` declares, with the comments of its source and in the order of it.
 *
 * @param schema the arktype that `property` holds
 * @see docCommentsOf for the other parameters
 */
export const documentedOptions = async (
  schema: type.Any,
  ...source: Parameters<typeof docCommentsOf>
): Promise<readonly DocumentedOption[]> => {
  const comments = await docCommentsOf(...source)
  const order = [...comments.keys()]
  return describeOptions(schema)
    .map((option) => ({ ...option, comment: comments.get(option.name) ?? "" }))
    .sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
}

const propertyOf = (object: ObjectExpression, name: string): Expression | undefined =>
  object.properties.flatMap((member) =>
    member.type === "Property" && nameOf(member) === name ? [member.value] : [],
  )[0]

const textOf = (expression: Expression | undefined): string | undefined =>
  expression?.type === "Literal" && typeof expression.value === "string" ? expression.value : undefined

/** The name of a property, without the `?` by which arktype marks an optional one. */
const nameOf = ({ key, computed }: ObjectProperty): string | undefined => {
  if (computed) return undefined
  const name = key.type === "Identifier" ? key.name : textOf(key as Expression)
  return name?.replace(/\?$/, "")
}

/** Adds the comments of the properties that `expression` declares, following at most `imports` more imports. */
const collect = async (
  source: Source,
  expression: Expression | Argument,
  comments: Map<string, string>,
  imports: number,
): Promise<void> => {
  switch (expression.type) {
    case "ObjectExpression":
      for (const member of expression.properties) {
        if (member.type === "SpreadElement") await collect(source, member.argument, comments, imports)
        else {
          const name = nameOf(member)
          // `"+": "reject"` is arktype's rule for undeclared keys.
          if (name === undefined || name === "+") continue
          const comment = commentAt(source, member)
          // A declaration that is spread and given again, with another default, keeps its comment.
          if (comment !== "" || !comments.has(name)) comments.set(name, comment)
        }
      }
      return
    case "CallExpression": {
      // `type({ … })`, or a method call on it: `type({ … }).narrow(…)`.
      const { callee, arguments: given } = expression
      if (callee.type === "MemberExpression") await collect(source, callee.object, comments, imports)
      else if (callee.type === "Identifier" && callee.name === "type" && given[0] !== undefined)
        await collect(source, given[0], comments, imports)
      return
    }
    case "TSAsExpression":
    case "TSSatisfiesExpression":
      return collect(source, expression.expression, comments, imports)
    case "Identifier": {
      const constant = source.constants.get(expression.name)
      if (constant !== undefined) return collect(source, constant, comments, imports)
      const imported = source.imports.get(expression.name)
      if (imported === undefined || imports === 0) return
      const other = await parsed(imported.path).catch(() => undefined)
      const there = other?.constants.get(imported.name)
      if (other !== undefined && there !== undefined) await collect(other, there, comments, imports - 1)
    }
  }
}

/** The comment directly above a property, or before or after it on its line. */
const commentAt = ({ text, comments }: Source, { start, end }: ObjectProperty): string => {
  const above = comments.filter((comment) => comment.end <= start).at(-1)
  const after = comments.find((comment) => comment.start >= end)
  if (above !== undefined) {
    const between = text.slice(above.end, start)
    const ofAnother = between.includes("\n") && !beginsLine(text, above.start)
    if (/^[ \t]*\r?\n?[ \t]*$/.test(between) && !ofAnother) return cleaned(above.value)
  }
  if (after !== undefined && /^,?[ \t]*$/.test(text.slice(end, after.start))) return cleaned(after.value)
  return ""
}

/** Whether only white space precedes this on its line; otherwise it is a comment on what does. */
const beginsLine = (text: string, start: number): boolean =>
  text.slice(text.lastIndexOf("\n", start - 1) + 1, start).trim() === ""

/** A comment's text on one line. */
const cleaned = (comment: string): string =>
  comment
    .replace(/^\*/, "")
    .replaceAll(/\n\s*\* ?/g, " ")
    .replaceAll(/\{@link (\w+)\}/g, "$1")
    .replaceAll(/\s+/g, " ")
    .trim()

const parsed = async (path: string): Promise<Source> => {
  const [text, { parseSync, Visitor }] = await Promise.all([readFile(path, "utf8"), import("oxc-parser")])
  const { program, comments, module } = parseSync(path, text)
  const constants = new Map<string, Expression>()
  const objects: ObjectExpression[] = []
  new Visitor({
    VariableDeclarator: ({ id, init }) => {
      if (id.type === "Identifier" && init !== null) constants.set(id.name, init)
    },
    ObjectExpression: (object) => {
      objects.push(object)
    },
  }).visit(program)
  const imports = module.staticImports.flatMap(({ moduleRequest, entries }) =>
    moduleRequest.value.startsWith(".")
      ? entries.map(({ importName, localName }) => {
          const name = importName.name ?? localName.value
          return [localName.value, { path: resolve(dirname(path), moduleRequest.value), name }] as const
        })
      : [],
  )
  return { path, text, comments, constants, imports: new Map(imports), objects }
}
