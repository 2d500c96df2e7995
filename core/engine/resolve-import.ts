/** Where an import leads: to a source file, whichever runtime resolves it, or to a package. */
import { existsSync, realpathSync, statSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { foldersAbove, installedFolder, manifestIn } from "./packages.ts"

export type Import =
  /** A file, by its absolute path without links. */
  | { readonly file: string }
  /** A package that is not followed into its files: its version counts. */
  | { readonly package: string }

const isFile = (path: string): boolean => existsSync(path) && statSync(path).isFile()

/** Endings that Bun adds to a path without one. Deno takes paths as they are. */
const endings = [".ts", ".tsx", ".js", "/index.ts", "/index.js"]

const sourceAt = (path: string): string | undefined => {
  const candidates = [path, ...endings.map((ending) => path + ending), path.replace(/\.js$/, ".ts")]
  const found = candidates.find(isFile)
  return found === undefined ? undefined : realpathSync(found)
}

/** Those conditions of an `exports` table that all runtimes have in common. */
const conditions: readonly string[] = ["import", "default"]

/** What an entry of an `exports` table leads to. */
const targetOf = (entry: unknown, star: string): string | undefined => {
  if (typeof entry === "string") return entry.replaceAll("*", star)
  if (typeof entry !== "object" || entry === null) return undefined
  if (Array.isArray(entry)) return entry.map((one) => targetOf(one, star)).find((one) => one !== undefined)
  for (const [condition, value] of Object.entries(entry)) {
    const target = conditions.includes(condition) ? targetOf(value, star) : undefined
    if (target !== undefined) return target
  }
  return undefined
}

/**
 * The path that a package's `exports` table gives for a module of it, relative to the package.
 *
 * @param subpath `.` for the package itself, otherwise `./plugins/probe/fisher.ts`
 */
const exported = (exports: unknown, subpath: string): string | undefined => {
  const isTable =
    typeof exports === "object" && exports !== null && Object.keys(exports).some((key) => key.startsWith("."))
  const table: Readonly<Record<string, unknown>> = isTable
    ? (exports as Record<string, unknown>)
    : { ".": exports }
  if (table[subpath] !== undefined) return targetOf(table[subpath], "")
  // The pattern with the longest beginning wins.
  const patterns = Object.keys(table)
    .filter((key) => key.includes("*"))
    .sort((a, b) => b.indexOf("*") - a.indexOf("*"))
  for (const pattern of patterns) {
    const [before, after] = pattern.split("*") as [string, string]
    const fits = subpath.startsWith(before) && subpath.endsWith(after) && subpath.length >= pattern.length
    if (fits) return targetOf(table[pattern], subpath.slice(before.length, subpath.length - after.length))
  }
  return undefined
}

/** The path of a module of the package in this folder. */
const moduleOf = (folder: string, subpath: string): string | undefined => {
  const { exports, main = "index.ts" } = manifestIn(folder) ?? {}
  const path = exports === undefined ? (subpath === "." ? main : subpath) : exported(exports, subpath)
  return path === undefined ? undefined : join(folder, path)
}

/** The folder of the package that a file belongs to: the nearest one with a `package.json`. */
export const packageAround = (file: string): string | undefined =>
  foldersAbove(dirname(file)).find((folder) => isFile(join(folder, "package.json")))

const thisPackage = manifestIn(packageAround(fileURLToPath(import.meta.url))!)?.name

/** Whether a package's files are followed like a project's own: this package's, those of its users, and TypeScript. */
const isFollowed = (folder: string, path: string): boolean => {
  const { name, dependencies, peerDependencies } = manifestIn(folder) ?? {}
  return (
    name === thisPackage ||
    Object.keys({ ...dependencies, ...peerDependencies }).some((dependency) => dependency === thisPackage) ||
    /\.[cm]?tsx?$/.test(path)
  )
}

/**
 * What an import of a file leads to; undefined if to no file, or to a part of the runtime, such as `node:fs`. A package
 * can import itself by its name.
 */
export const resolveImport = (specifier: string, from: string): Import | undefined => {
  if (/^[./]/.test(specifier)) {
    const file = sourceAt(resolve(dirname(from), specifier))
    return file === undefined ? undefined : { file }
  }
  const [, name, rest = ""] = /^((?:@[^/:]+\/)?[^@./:#][^/:]*)(\/.*)?$/.exec(specifier) ?? []
  if (name === undefined) return undefined
  const own = packageAround(from)
  const isOwn = own !== undefined && manifestIn(own)?.name === name
  const folder = isOwn ? own : installedFolder(name, dirname(from))
  const path = folder === undefined ? undefined : moduleOf(folder, `.${rest}`)
  if (folder === undefined || path === undefined) return { package: name }
  return (isOwn || isFollowed(folder, path)) && isFile(path)
    ? { file: realpathSync(path) }
    : { package: name }
}
