/** What the source of a pipeline or a plugin says of its parameters or options: the comments that stand at them. */
import { readFile } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import type { Argument, Expression, ObjectExpression, ObjectProperty } from "oxc-parser"

/** A parsed file. */
interface Source {
  readonly path: string
  readonly text: string
  readonly comments: readonly { readonly value: string; readonly start: number; readonly end: number }[]
  /** Its constants, by name. */
  readonly constants: ReadonlyMap<string, Expression>
  /** Names that it imports from files of this project: the file and the name there. */
  readonly imports: ReadonlyMap<string, { readonly path: string; readonly name: string }>
  /** Every object that is written in it. */
  readonly objects: readonly ObjectExpression[]
}

/**
 * The comments at the properties of a declaration, in the order of the source; a property without one has the empty
 * text.
 *
 * What is taken is the comment that ends on the line above a property, or that follows it on its line. The declaration
 * is the object that is given to arktype's `type`, there or under the name of a constant; what is spread into it, or
 * imported from another file of the project, is followed into that file.
 *
 * @param path a TypeScript file
 * @param owner the `name` of the pipeline or the plugin in it
 * @param property which of its properties is the declaration
 * @returns nothing where the source is written in another way, or cannot be read
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
    await collect(source, declared.value, comments, 1)
  return comments
}

const propertyOf = (object: ObjectExpression, name: string): Expression | undefined =>
  object.properties.flatMap((member) =>
    member.type === "Property" && nameOf(member) === name ? [member.value] : [],
  )[0]

const textOf = (expression: Expression | undefined): string | undefined =>
  expression?.type === "Literal" && typeof expression.value === "string" ? expression.value : undefined

/** The name of a property, without arktype's mark of an optional one. */
const nameOf = ({ key, computed }: ObjectProperty): string | undefined => {
  if (computed) return undefined
  const name = key.type === "Identifier" ? key.name : textOf(key as Expression)
  return name?.replace(/\?$/, "")
}

/** Adds the comments of the properties that `expression` declares; `imports` more files are followed. */
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
          // `"+": "reject"` is arktype's rule for other names.
          if (name !== undefined && name !== "+") comments.set(name, commentAt(source, member))
        }
      }
      return
    case "CallExpression": {
      // `type({ … })`, and what is made of it: `type({ … }).narrow(…)`.
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

/** The comment right above or before a property, or behind it on its line. */
const commentAt = ({ text, comments }: Source, { start, end }: ObjectProperty): string => {
  const above = comments.filter((comment) => comment.end <= start).at(-1)
  const after = comments.find((comment) => comment.start >= end)
  if (above !== undefined) {
    const between = text.slice(above.end, start)
    const behindAnother = between.includes("\n") && !beginsLine(text, above.start)
    if (/^[ \t]*\r?\n?[ \t]*$/.test(between) && !behindAnother) return cleaned(above.value)
  }
  if (after !== undefined && /^,?[ \t]*$/.test(text.slice(end, after.start))) return cleaned(after.value)
  return ""
}

/** Whether only space stands before this on its line: else it is a comment on what does. */
const beginsLine = (text: string, start: number): boolean =>
  text.slice(text.lastIndexOf("\n", start - 1) + 1, start).trim() === ""

/** A comment's words on one line. */
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
