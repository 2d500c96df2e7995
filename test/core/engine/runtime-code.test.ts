import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseSync } from "oxc-parser"
import { runtimeCode } from "../../../core/engine/runtime-code.ts"

// On a busy machine, what takes a second here may take a minute.
setDefaultTimeout(120_000)

const project = join(import.meta.dir, "..", "..", "..")
const sources = globSync("{core,plugins,pipelines}/**/*.ts", { cwd: project }).sort()
const textOf = (path: string, folder = project) => readFileSync(join(folder, path), "utf8")
const code = (text: string, path = "a.ts") => runtimeCode(path, text).code
const codes = new Map(sources.map((path) => [path, code(textOf(path), path)]))

test.each([
  ["comments", "f(1) // one", "/* two */ f(/* three */ 1)"],
  ["a hashbang", "#!/usr/bin/env bun\nf()", "f()"],
  ["spaces, line ends, semicolons", "const a = 1;\r\nf(a);;\r\n", "const a=1\nf(a)"],
  ["quotes and escapes", String.raw`f('it\'s', "\u0061")`, `f("it's", 'a')`],
  ["how a number is written", "f(1e-5, 0x10, 1_000, 10n)", "f(0.00001, 16, 1000, 0xan)"],
  ["quoted keys and shorthands", 'f({ "a": a, b: 1 })', "f({ a, 'b': 1 })"],
  ["parentheses that change nothing", "f((a) + (b * c), ((x) => (x)))", "f(a + b * c, x => x)"],
  ["trailing commas", "f([1, 2,], { a: 1, },)", "f([1, 2], { a: 1 })"],
  ["annotations", "const f = <T>(a: T, b?: number): T | undefined => a", "const f = (a, b) => a"],
  ["the type of this", "function f(this: Window, a: number) {}", "function f(a) {}"],
  ["assertions", "f(a as B, <C>b, c!, d satisfies D, g<number>)", "f(a, b, c, d, g)"],
  ["assertions in a chain", "a!.b?.c![0]!.d", "a.b?.c[0].d"],
  ["type arguments", "new Map<string, number>(f<A>(1))", "new Map(f(1))"],
  [
    "type declarations",
    "type A = 1; interface B {}; export type C = A; export interface D {}; declare const e: A; f()",
    "f()",
  ],
  ["declared modules", 'declare global { const a: 1 }\ndeclare module "b" {}\nf()', "f()"],
  [
    "overloads",
    "function f(a: string): void\nfunction f(a: number): void\nfunction f(a) {}",
    "function f(a) {}",
  ],
  [
    "what a class says to the compiler",
    "abstract class A<T> extends B<T> implements C { declare a: T; private readonly b?: T = 1; " +
      "override get c(): T { return 1 } abstract d(): void; e(): void; e(a?: T) {} [k: string]: T; f!: T; static g?: T }",
    "class A extends B { b = 1; get c() { return 1 } e(a) {} f; static g }",
  ],
  [
    "type imports",
    'import type { A } from "./a.ts"\nimport b, { type C } from "./b.ts"',
    'import b from "./b.ts"',
  ],
  ["empty exports", "f(); export {}", "f()"],
  ["type exports", 'export type { A } from "./a.ts"\nexport { type B, c }', "export { c }"],
])("%s do not count", (_, one, other) => {
  expect(code(one)).toBe(code(other))
})

test.each([
  ["an operator", "a + b", "a - b"],
  ["precedence", "(a + b) * c", "a + b * c"],
  ["a number", "f(1e-5)", "f(2e-5)"],
  ["a kind of number", "f(1)", "f(1n)"],
  ["a string or a number", 'f("1")', "f(1)"],
  ["a regular expression", "f(/a/)", "f(/b/)"],
  ["its flags", "f(/a/)", "f(/a/g)"],
  ["a template's text", "f(`a`)", "f(`b`)"],
  ["how a template is written, which tags see", "f`\\u0061`", "f`a`"],
  ["an optional chain", "a?.b", "a.b"],
  ["where a chain ends", "(a?.b).c", "a?.b.c"],
  ["a computed key", "f({ [a]: 1 })", "f({ a: 1 })"],
  ["a private member", "class A { #a = 1 }", "class A { a = 1 }"],
  ["a static member", "class A { static a = 1 }", "class A { a = 1 }"],
  ["a hole", "f([1, , 2])", "f([1, 2])"],
  ["a name", "const a = 1", "const b = 1"],
  ["a kind of declaration", "let a = 1", "var a = 1"],
  ["await", "for await (const a of b) {}", "for (const a of b) {}"],
  [
    "a field that a constructor sets",
    "class A { constructor(private a: 1) {} }",
    "class A { constructor(a) {} }",
  ],
  ["an enum", "enum A { b = 1 }", "enum A { b = 2 }"],
  ["an empty body", "for (;;);", "for (;;) f()"],
  ["a directive", '"use strict"; f()', "f()"],
  ["an import for its effect", 'import "./a.ts"; f()', "f()"],
  ["import attributes", 'import a from "./a" with { type: "json" }', 'import a from "./a"'],
  ["the order of statements", "f(); g()", "g(); f()"],
  ["automatic semicolons", "return_\n(a)", "return_;\n(a)"],
])("%s counts", (_, one, other) => {
  expect(code(one)).not.toBe(code(other))
})

test("a file that does not parse is its text", () => {
  expect(code("const = {")).not.toBe(code("const  = {"))
})

let copy: string
beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), "kasosei-formatted-"))
  for (const folder of ["core", "plugins", "pipelines"])
    cpSync(join(project, folder), join(copy, folder), { recursive: true })
})
afterAll(() => rmSync(copy, { recursive: true, force: true }))

test("no source of the project changes by formatting", () => {
  const formatter = {
    formatter: { lineWidth: 60, indentStyle: "tab", lineEnding: "crlf" },
    javascript: {
      formatter: {
        quoteStyle: "single",
        semicolons: "always",
        trailingCommas: "none",
        arrowParentheses: "asNeeded",
        bracketSpacing: false,
      },
    },
  }
  writeFileSync(join(copy, "biome.json"), JSON.stringify(formatter))
  const biome = join(project, "node_modules", ".bin", "biome")
  const ended = spawnSync(biome, ["format", "--write", "."], { cwd: copy, encoding: "utf8" })
  expect([ended.status, ended.stderr]).toEqual([0, expect.stringContaining("Fixed")])
  const same = sources.filter((path) => textOf(path, copy) === textOf(path))
  expect(same.length).toBeLessThan(sources.length / 10)
  expect(sources.filter((path) => code(textOf(path, copy), path) !== codes.get(path))).toEqual([])
})

/** The text with other comments: those that it has removed, new ones after each statement. */
const commented = (path: string, text: string): string => {
  const { comments, program } = parseSync(path, text)
  const edits = [
    ...comments.map(({ type, start, end }) => ({ start, end, by: type === "Line" ? "" : " " })),
    ...program.body.map(({ end }) => ({
      start: end,
      end,
      by: " /* added, */ // const a = 1\n/** and\nmore */",
    })),
  ].sort((a, b) => b.start - a.start)
  return edits.reduce((all, { start, end, by }) => all.slice(0, start) + by + all.slice(end), text)
}

test("no source of the project changes by comments", () => {
  const changed = sources.filter((path) => {
    const text = textOf(path)
    const other = commented(path, text)
    expect(other).not.toBe(text)
    return code(other, path) !== codes.get(path)
  })
  expect(changed).toEqual([])
})

test("of each source of the project is left what TypeScript leaves", () => {
  const out = join(copy, "compiled")
  const options = "--noEmit false --noCheck --incremental false --allowImportingTsExtensions false".split(" ")
  const tsc = join(project, "node_modules", ".bin", "tsc")
  const ended = spawnSync(tsc, ["-p", project, "--outDir", out, ...options], { encoding: "utf8" })
  expect([ended.status, ended.stdout]).toEqual([0, ""])
  const different = sources.filter((path) => {
    const compiled = path.replace(/ts$/, "js")
    return code(textOf(compiled, out), compiled) !== codes.get(path)
  })
  // TypeScript writes out the fields that the parameters of their constructors declare.
  expect(different.filter((path) => !/constructor\([^)]*(private|readonly) /.test(textOf(path)))).toEqual([])
  expect(different.length).toBeLessThan(sources.length / 10)
})

interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

/** Small edits that change what a source does, or a name in it: each a text to put in place of a range. */
const mutations = (text: string, node: SyntaxNode): readonly { at: SyntaxNode; by: string }[] => {
  const { type, operator, value } = node
  if (type === "Literal" && typeof value === "number") return [{ at: node, by: String(value + 1) }]
  if (type === "Literal" && typeof value === "string") return [{ at: node, by: JSON.stringify(`${value}!`) }]
  if (type === "Literal" && typeof value === "boolean") return [{ at: node, by: String(!value) }]
  if (type === "BinaryExpression" || type === "LogicalExpression") {
    const { start } = node["left"] as SyntaxNode
    const { end } = node["right"] as SyntaxNode
    const by = text.slice(start, end).replace(String(operator), operator === "+" ? "-" : "+")
    return [{ at: { ...node, start, end }, by }]
  }
  if (type === "Identifier" && node["typeAnnotation"] == null)
    return [{ at: node, by: `${String(node["name"])}_` }]
  return []
}

/** All nodes but those of types, which are not edited. */
const nodesIn = (value: unknown, found: SyntaxNode[] = []): readonly SyntaxNode[] => {
  if (Array.isArray(value)) for (const member of value) nodesIn(member, found)
  else if (typeof value === "object" && value !== null) {
    const node = value as SyntaxNode
    if (node.type?.startsWith("TS")) return nodesIn(node["expression"], found)
    if (typeof node.type === "string") found.push(node)
    for (const field of Object.values(node)) nodesIn(field, found)
  }
  return found
}

test("every source of the project changes by a literal, an operator or a name", () => {
  const unseen: string[] = []
  let edits = 0
  for (const path of sources) {
    const text = textOf(path)
    const { program } = parseSync(path, text)
    const runs = program.body.filter(({ type }) => !/^(Import|TS|Export(All|Named))/.test(type))
    const exported = program.body.flatMap((node) =>
      node.type === "ExportNamedDeclaration" && node.exportKind === "value" ? (node.declaration ?? []) : [],
    )
    const possible = nodesIn([...runs, ...exported]).flatMap((node) => mutations(text, node))
    // Three of them, from the beginning to the end.
    for (const part of [0.1, 0.5, 0.9]) {
      const edit = possible[Math.floor(part * possible.length)]
      if (edit === undefined) continue
      edits++
      const { at, by } = edit
      const edited = text.slice(0, at.start) + by + text.slice(at.end)
      if (code(edited, path) === codes.get(path))
        unseen.push(`${path}: ${text.slice(at.start, at.end)} -> ${by}`)
    }
  }
  expect(edits).toBeGreaterThan(2 * sources.length)
  expect(unseen).toEqual([])
})
