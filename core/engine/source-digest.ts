/** The code that a unit runs: a digest of each source file, and the version of each package. */
import { readdirSync, readFileSync, realpathSync, statSync } from "node:fs"
import { basename, dirname, extname, join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { canonicalJson, sha256 } from "../io/digest.ts"
import { cppTokens } from "./cpp-tokens.ts"
import { forgetPackages, manifestIn, packageVersion } from "./packages.ts"
import { packageAround, resolveImport } from "./resolve-import.ts"
import { type ImportRequest, type RuntimeCode, runtimeCode } from "./runtime-code.ts"

/** What some modules run. */
export interface Sources {
  /**
   * The digest of each source file that they reach by imports, by its path in the project. That of an installed file
   * begins with its package's name. Comments, types and formatting do not count.
   */
  readonly sources: Readonly<Record<string, string>>
  /** The version of each package that those files import (`packageVersion`). */
  readonly packages: Readonly<Record<string, string>>
}

interface SourceFile extends Omit<RuntimeCode, "code"> {
  readonly digest: string
}

const files = new Map<string, SourceFile>()
const reached = new Map<string, Sources>()

/** Forgets all sources and packages that were read, so that they are read again. */
export const forgetSources = (): void => {
  files.clear()
  reached.clear()
  forgetPackages()
}

const script = /\.[cm]?[jt]sx?$/
const cpp = /\.(?:cpp|cc|c|hpp|h|cu|cuh)$/

/** What is left of a data file or a C++ file: its content, without formatting or comments. */
const contentOf = (path: string, text: string): string => {
  if (cpp.test(path)) return cppTokens(text)
  if (extname(path) !== ".json") return text
  try {
    const value = JSON.parse(text)
    // A project's scripts and dependencies do not run with the code that reads its version here.
    const { name, version } = value
    return canonicalJson(basename(path) === "package.json" ? { name, version } : value)
  } catch {
    return text
  }
}

const sourceFile = (path: string): SourceFile => {
  const known = files.get(path)
  if (known !== undefined) return known
  const text = readFileSync(path, "utf8")
  const { code, ...links } = script.test(path)
    ? runtimeCode(path, text)
    : { code: contentOf(path, text), imports: [], handedOn: new Map() }
  const file = { digest: sha256(code).slice(0, 32), ...links }
  files.set(path, file)
  return file
}

/**
 * What an import of a file leads to. A name that a module only hands on leads to where it comes from: the other modules
 * that are behind the same entry do not count.
 */
const leadsTo = (
  { specifier, name }: ImportRequest,
  from: string,
  passed: ReadonlySet<string> = new Set(),
): { readonly file: string } | { readonly package: string; readonly version: string } | undefined => {
  const found = resolveImport(specifier, from)
  if (found === undefined) return undefined
  if ("package" in found) return { ...found, version: packageVersion(found.package, dirname(from)) }
  const next = name === null || passed.has(found.file) ? undefined : sourceFile(found.file).handedOn.get(name)
  return next === undefined ? found : leadsTo(next, found.file, new Set([...passed, found.file]))
}

/** A file's path as keys have it: the same wherever its project lies, or the module that led to it. */
const labelOf = (path: string, module: string): string => {
  const folder = packageAround(path)
  if (folder === undefined) return relative(dirname(module), path)
  const installed = path.split(sep).includes("node_modules")
  return join(installed ? (manifestIn(folder)?.name ?? "") : "", relative(folder, path))
}

/** The C++ files in a folder; a file itself. */
const filesAt = (path: string): readonly string[] =>
  statSync(path).isDirectory()
    ? readdirSync(path)
        .filter((name) => cpp.test(name))
        .sort()
        .map((name) => join(path, name))
    : [path]

/** Adds a value to those of a name: two packages may depend on two versions of a third. */
const add = (all: Map<string, string>, name: string, value: string): void => {
  const values = new Set([...(all.get(name)?.split(", ") ?? []), value])
  all.set(name, [...values].sort().join(", "))
}

/**
 * What modules run: their files, and all files and packages that they import, directly or not, by paths or by names.
 * Type-only imports do not run. Each file is read once per process.
 *
 * @param modules each an `import.meta.url`
 * @param further what the first one uses besides, as it would import it: files, folders of C++ files, packages
 */
export const sourcesOf = (modules: readonly string[], further: readonly string[] = []): Sources => {
  const request = [...modules, "", ...further].join("\n")
  const known = reached.get(request)
  if (known !== undefined) return known
  const starts = modules.map((module) => realpathSync(fileURLToPath(module)))
  const first = starts[0]!
  const visited = new Set<string>()
  const sources = new Map<string, string>()
  const packages = new Map<string, string>()
  const visit = (path: string, module: string): void => {
    if (visited.has(path)) return
    visited.add(path)
    const file = sourceFile(path)
    add(sources, labelOf(path, module), file.digest)
    for (const request of file.imports) {
      const found = leadsTo(request, path)
      if (found === undefined) continue
      if ("package" in found) add(packages, found.package, found.version)
      else visit(found.file, module)
    }
  }
  for (const module of starts) visit(module, module)
  for (const specifier of further) {
    if (specifier.startsWith(".")) {
      for (const path of filesAt(join(dirname(first), specifier))) visit(path, first)
    } else add(packages, specifier, packageVersion(specifier, dirname(first)))
  }
  const found = { sources: Object.fromEntries(sources), packages: Object.fromEntries(packages) }
  reached.set(request, found)
  return found
}
