/** What is left of a TypeScript or JavaScript file once comments, types and formatting are gone. */
import { type EcmaScriptModule, type ParseResult, parseSync, type StaticExportEntry } from "oxc-parser"

/** What a file imports or re-exports: a name of a module, or all of it, which runs it in any case. */
export interface ImportRequest {
  /** As it is written: `./a.ts`, `effect`. */
  readonly specifier: string
  /** Null for all. */
  readonly name: string | null
}

export interface RuntimeCode {
  /** Equal for two files that differ in comments, types or formatting alone. A list of the parser's nodes. */
  readonly code: string
  /** What the file imports or re-exports at run time. */
  readonly imports: readonly ImportRequest[]
  /**
   * Of a file that does nothing but hand on names of other modules, as the entry of a package does: where each name
   * comes from. Empty for any other file, and without names that are handed on as others.
   */
  readonly handedOn: ReadonlyMap<string, ImportRequest>
}

/**
 * The code of a file as it runs.
 *
 * The parser continues after errors: of a file that does not parse, the code is its text and the imports are those that
 * were found. The loader reports it.
 *
 * @param path says which language it is, by its extension
 */
export const runtimeCode = (path: string, text: string): RuntimeCode => {
  const parsed = parseSync(path, text, { astType: "ts", preserveParens: false })
  return { code: codeOf(parsed, text), imports: importsOf(parsed.module, text), handedOn: handedOnBy(parsed) }
}

const codeOf = (parsed: ParseResult, text: string): string => {
  if (parsed.errors.length > 0) return text
  const out: string[] = []
  print(parsed.program.body, out)
  return out.join("")
}

/** Type-only imports vanish at run time. A dynamic import counts if its path is a plain string. */
const importsOf = (
  { staticImports, staticExports, dynamicImports }: EcmaScriptModule,
  text: string,
): readonly ImportRequest[] => {
  const imported = staticImports.flatMap(({ moduleRequest: { value: specifier }, entries }) =>
    entries.length === 0
      ? [{ specifier, name: null }]
      : entries.flatMap(({ importName, isType }) =>
          isType ? [] : [{ specifier, name: importName.kind === "Name" ? importName.name : null }],
        ),
  )
  const exported = staticExports.flatMap(({ entries }) => entries.flatMap(handedOn))
  const dynamic = dynamicImports.flatMap(({ moduleRequest: { start, end } }) => {
    const specifier = /^(["'`])([^\\$]*)\1$/.exec(text.slice(start, end))?.[2]
    return specifier === undefined ? [] : [{ specifier, name: null }]
  })
  return [...imported, ...exported, ...dynamic]
}

const handedOn = ({ moduleRequest, importName, isType }: StaticExportEntry): readonly ImportRequest[] =>
  moduleRequest === null || isType
    ? []
    : [{ specifier: moduleRequest.value, name: importName.kind === "Name" ? importName.name : null }]

const handedOnBy = ({ program, module: { staticExports } }: ParseResult): RuntimeCode["handedOn"] => {
  const onlyHandsOn = program.body.every(
    (statement) =>
      vanishes(statement) ||
      ((statement.type === "ExportNamedDeclaration" || statement.type === "ExportAllDeclaration") &&
        statement.source !== null),
  )
  if (!onlyHandsOn) return new Map()
  return new Map(
    staticExports
      .flatMap(({ entries }) => entries)
      .flatMap((entry) => {
        const { exportName, importName } = entry
        // `export * as tf from "…"` gives all of a module one name.
        const isSame = importName.kind === "All" || importName.name === exportName.name
        return isSame && exportName.name !== null
          ? handedOn(entry).map((request) => [exportName.name!, request] as const)
          : []
      }),
  )
}

/** A node of the syntax tree, as ESTree and its extension for TypeScript describe it. */
interface SyntaxNode {
  readonly type: string
  readonly [field: string]: unknown
}

/** Fields that hold positions, types or notation. */
const unread = new Set([
  "start",
  "end",
  "type",
  // The value of a literal says what its notation means: 'a' is "a", and 0.00001 is 1e-5.
  "raw",
  "shorthand",
  "typeAnnotation",
  "returnType",
  "typeParameters",
  "typeArguments",
  "superTypeArguments",
  "implements",
  "declare",
  "abstract",
  "definite",
  "accessibility",
  "readonly",
  "override",
  "importKind",
  "exportKind",
])

/** Expressions that only tell the compiler a type. */
const typeOnlyWrappers = new Set([
  "TSAsExpression",
  "TSSatisfiesExpression",
  "TSNonNullExpression",
  "TSTypeAssertion",
  "TSInstantiationExpression",
])

/** Members of a list, such as statements or the members of a class, that vanish. */
const typeOnlyMembers = new Set([
  "EmptyStatement",
  "TSTypeAliasDeclaration",
  "TSInterfaceDeclaration",
  "TSDeclareFunction",
  "TSAbstractMethodDefinition",
  "TSAbstractPropertyDefinition",
  "TSAbstractAccessorProperty",
  "TSIndexSignature",
])

const isNode = (value: unknown): value is SyntaxNode =>
  typeof value === "object" && value !== null && "type" in value

const vanishes = (member: unknown): boolean => {
  if (!isNode(member)) return false
  if (typeOnlyMembers.has(member.type) || member["declare"] === true) return true
  switch (member.type) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportDefaultDeclaration": {
      const { specifiers = [], declaration = null } = member
      const named = specifiers as readonly unknown[]
      // `import "./a.ts"` runs, `export {}` does nothing.
      const isEmpty = named.length === 0 && declaration === null && member.type === "ExportNamedDeclaration"
      return isTypeOnly(member) || isEmpty || (named.length > 0 && named.every(vanishes))
    }
    case "ExportAllDeclaration":
    case "ImportSpecifier":
    case "ExportSpecifier":
      return isTypeOnly(member)
    // A signature that the implementation overloads.
    case "MethodDefinition":
      return isNode(member["value"]) && member["value"].type === "TSEmptyBodyFunctionExpression"
    // The type of `this`, declared as the first parameter.
    case "Identifier":
      return member["name"] === "this"
    default:
      return false
  }
}

const isTypeOnly = (node: SyntaxNode): boolean =>
  node["importKind"] === "type" || node["exportKind"] === "type" || vanishes(node["declaration"])

const print = (value: unknown, out: string[]): void => {
  if (Array.isArray(value)) {
    out.push("[")
    for (const member of value) if (!vanishes(member)) print(member, out)
    out.push("]")
  } else if (typeof value !== "object" || value === null) {
    out.push(typeof value === "string" ? JSON.stringify(value) : String(value), " ")
  } else if (isNode(value) && typeOnlyWrappers.has(value.type)) {
    print(value["expression"], out)
  } else {
    const node = value as SyntaxNode
    out.push(node.type ?? "", "{")
    for (const field in node) {
      if (!unread.has(field)) printField(node, field, out)
    }
    out.push("}")
  }
}

const printField = (node: SyntaxNode, field: string, out: string[]): void => {
  const value = node[field]
  if (field === "value" && "regex" in node) return
  // On an identifier it is part of its type; in a chain, `a?.b`, it runs.
  if (field === "optional" && node.type !== "MemberExpression" && node.type !== "CallExpression") return
  out.push(field, ":")
  // { "a": 1 } is { a: 1 }.
  if (field === "key" && node["computed"] === false && isNode(value) && value.type !== "PrivateIdentifier")
    out.push(String(value["name"] ?? value["value"]), " ")
  // The text of a template counts as it is written: tags can read it.
  else if (field === "value" && node.type === "TemplateElement")
    out.push(JSON.stringify((value as { readonly raw: string }).raw))
  else print(value, out)
}
