/** Which version of a package a file imports: by the project's lockfile, or as it is installed. */
import { existsSync, realpathSync } from "node:fs"
import { dirname, join, sep } from "node:path"
import { type } from "arktype"
import { sha256 } from "../io/digest.ts"
import { jsonFile, type PackageManifest, readManifest } from "../io/package-manifest.ts"

const manifests = new Map<string, PackageManifest | undefined>()

/** The `package.json` of a folder; undefined if it has none that can be read. Each is read once per process. */
export const manifestIn = (folder: string): PackageManifest | undefined => {
  if (!manifests.has(folder)) manifests.set(folder, readManifest(folder))
  return manifests.get(folder)
}

/** A folder and those that it is in, from the inside out. */
export const foldersAbove = (folder: string): readonly string[] =>
  dirname(folder) === folder ? [folder] : [folder, ...foldersAbove(dirname(folder))]

/** The folder of an installed package as a file in `from` finds it. */
export const installedFolder = (name: string, from: string): string | undefined => {
  for (const folder of foldersAbove(from)) {
    const candidate = join(folder, "node_modules", name)
    if (existsSync(join(candidate, "package.json"))) return realpathSync(candidate)
  }
  return undefined
}

/** A package that was found, and how to find those that it depends on. */
interface FoundPackage {
  /** Name and version. */
  readonly id: string
  readonly version: string
  readonly dependencies: readonly string[]
  readonly find: (dependency: string) => FoundPackage | undefined
}

/** An entry of bun.lock: `["name@version", registry, { dependencies }, integrity]`; the registry may be left out. */
const LockEntry = type("unknown[]").pipe(([id, ...parts]) => ({
  id: String(id),
  dependencies: parts.flatMap((part) => {
    const described = Described(part)
    return described instanceof type.errors ? [] : Object.keys(described.dependencies)
  }),
}))
const Described = type({ dependencies: "Record<string, unknown>" })
const Lockfile = type({ packages: "Record<string, unknown[]>" })
type Lockfile = typeof Lockfile.infer

const lockfiles = new Map<string, Lockfile | undefined>()

/** JSON without the commas after last elements that bun.lock has. */
const withoutLastCommas = (text: string): string => text.replace(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, "$1")

const lockfileIn = (folder: string): Lockfile | undefined => {
  if (!lockfiles.has(folder)) {
    lockfiles.set(folder, jsonFile(join(folder, "bun.lock"), Lockfile, withoutLastCommas))
  }
  return lockfiles.get(folder)
}

/** A package as the package at `parents` in `node_modules` finds it: nested in it, in one around it, or at the top. */
const locked = (lockfile: Lockfile, name: string, parents: readonly string[]): FoundPackage | undefined => {
  for (let depth = parents.length; depth >= 0; depth--) {
    const path = [...parents.slice(0, depth), name]
    const entry = lockfile.packages[path.join("/")]
    if (entry === undefined) continue
    const { id, dependencies } = LockEntry.assert(entry)
    const find = (dependency: string) => locked(lockfile, dependency, path)
    return { id, version: id.slice(id.indexOf("@", 1) + 1), dependencies, find }
  }
  return undefined
}

const installed = (name: string, from: string): FoundPackage | undefined => {
  const folder = installedFolder(name, from)
  if (folder === undefined) return undefined
  const { version = "", dependencies = {} } = manifestIn(folder) ?? {}
  const find = (dependency: string) => installed(dependency, folder)
  return { id: `${name}@${version}`, version, dependencies: Object.keys(dependencies), find }
}

/** The folder of the project that a file belongs to or is installed in, and the packages that it is nested in there. */
const placeOf = (from: string): { readonly project: string; readonly parents: readonly string[] } => {
  const [project, ...within] = `${from}${sep}`.split(`${sep}node_modules${sep}`)
  const names = within.map((path) => {
    const parts = path.split(sep)
    return parts.slice(0, path.startsWith("@") ? 2 : 1).join("/")
  })
  // Some package managers keep packages in a hidden folder there, and link to them.
  return { project: project!, parents: names.filter((name) => !name.startsWith(".")) }
}

const findPackage = (name: string, from: string): FoundPackage | undefined => {
  const { project, parents } = placeOf(from)
  for (const folder of foldersAbove(project)) {
    const lockfile = lockfileIn(folder)
    if (lockfile !== undefined) return locked(lockfile, name, parents) ?? installed(name, from)
  }
  return installed(name, from)
}

/** A package and all that it depends on; packages of types alone do not run. Optional ones give no other results. */
const closureOf = (found: FoundPackage, ids = new Set<string>()): ReadonlySet<string> => {
  if (ids.has(found.id)) return ids
  ids.add(found.id)
  for (const dependency of found.dependencies) {
    const next = dependency.startsWith("@types/") ? undefined : found.find(dependency)
    if (next !== undefined) closureOf(next, ids)
  }
  return ids
}

const versions = new Map<string, string>()

/**
 * The version of a package that a file in the folder `from` imports, with a digest of the versions of all packages that
 * it depends on, if any: `4.22.0 (dependencies 1f3a0c5b9d27)`. From the nearest bun.lock above the file or, where there
 * is none, from the installed packages. `not installed` if it is in neither.
 */
export const packageVersion = (name: string, from: string): string => {
  const place = `${name} ${from}`
  const known = versions.get(place)
  if (known !== undefined) return known
  const found = findPackage(name, from)
  const others = found === undefined ? [] : [...closureOf(found)].filter((id) => id !== found.id).sort()
  const digest = sha256(others.join("\n")).slice(0, 12)
  const version =
    found === undefined
      ? "not installed"
      : `${found.version}${others.length === 0 ? "" : ` (dependencies ${digest})`}`
  versions.set(place, version)
  return version
}

/** Forgets what was read, so that it is read again. */
export const forgetPackages = (): void => {
  manifests.clear()
  lockfiles.clear()
  versions.clear()
}
