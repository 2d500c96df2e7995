import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { type } from "arktype"
import { parseJson } from "./json.ts"

/** The part of a `package.json` that is read here. */
const PackageManifest = type({
  "name?": "string",
  "version?": "string",
  "main?": "string",
  "exports?": "unknown",
  "dependencies?": "Record<string, unknown>",
  "devDependencies?": "Record<string, unknown>",
  "peerDependencies?": "Record<string, unknown>",
  "optionalDependencies?": "Record<string, unknown>",
})
export type PackageManifest = typeof PackageManifest.infer

/** Bytes; a lockfile of thousands of packages has a few MB. */
const largestFile = 2 ** 26

/**
 * A JSON file, once changed to plain JSON, as `guard` reads it; undefined if there is none, or it is damaged or larger
 * than 64 MiB.
 */
export const jsonFile = <T>(
  path: string,
  guard: (value: unknown) => T | type.errors,
  plain = (text: string) => text,
): T | undefined => {
  try {
    if (statSync(path).size > largestFile) return undefined
    const read = guard(parseJson(plain(readFileSync(path, "utf8"))))
    return read instanceof type.errors ? undefined : (read as T)
  } catch {
    return undefined
  }
}

/** The `package.json` in a folder; undefined if there is none, or none that can be read. */
export const readManifest = (folder: string): PackageManifest | undefined =>
  jsonFile(join(folder, "package.json"), PackageManifest)
