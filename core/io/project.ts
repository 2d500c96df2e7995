import { dirname, extname } from "node:path"
import { fileURLToPath } from "node:url"
import manifest from "../../package.json" with { type: "json" }
import { readManifest } from "./package-manifest.ts"

/** The folder of this package: it holds `core`, `plugins` and `pipelines`. */
export const packageFolder = fileURLToPath(new URL("../..", import.meta.url))

/** How the names of this package's modules end: `.ts` in a checkout, `.js` once it was packed. */
export const moduleExtension = extname(fileURLToPath(import.meta.url))

/** This package's name and version. */
export const { name: packageName, version }: { readonly name: string; readonly version: string } = manifest

const kindsOfDependency = [
  "dependencies",
  "devDependencies",
  "peerDependencies",
  "optionalDependencies",
] as const

/** Where the `package.json` in a folder takes this package from; undefined if it does not depend on it. */
export const dependencyOn = (folder: string): string | undefined => {
  const found = readManifest(folder)
  return kindsOfDependency
    .map((kind) => found?.[kind]?.[packageName])
    .find((specifier) => typeof specifier === "string")
}

/** Set for a process whose project lies elsewhere than the folder that it works in: a copy of it, made for a launch. */
export const projectVariable = "KASOSEI_PROJECT"

/**
 * The project of one's own that a folder belongs to: the nearest folder, from this one upwards, whose `package.json`
 * names this package among its dependencies. Undefined outside of any, and in a checkout of this package.
 */
export const findProject = (from = process.env[projectVariable] ?? process.cwd()): string | undefined => {
  if (readManifest(from)?.name === packageName) return undefined
  if (dependencyOn(from) !== undefined) return from
  const above = dirname(from)
  return above === from ? undefined : findProject(above)
}
