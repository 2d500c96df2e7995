/** The text of new files, made from the templates in `plugins/template`, which are working files of this package. */
import { posix } from "node:path"
import type { Stage } from "../api/stage.ts"
import { packageName } from "../io/project.ts"

/** `weightNorm` for `weight-norm`. */
export const identifierOf = (name: string): string =>
  name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())

/** What in a template stands for a plugin of this stage, or for a pipeline. */
const standIn = (what: Stage | "pipeline") => ({
  name: `template-${what}`,
  identifier: `template${what[0]!.toUpperCase()}${what.slice(1)}`,
})

/** A template's text under the new name of its plugin. */
export const renamed = (text: string, what: Stage | "pipeline", name: string): string => {
  const old = standIn(what)
  return text.replaceAll(old.identifier, identifierOf(name)).replaceAll(old.name, name)
}

/** Packages whose one copy is this package's own; see `core/entry/kasosei.ts`. */
const reexported = new Set(["arktype", "effect", "@tensorflow/tfjs-core"])

const importLine = /^import (type )?(?:\{([^}]*)\}|(\* as \w+)) from "([^"]+)"\n/gm

/** The width of a line of code here, in columns. */
const codeWidth = 110

/**
 * A template's text with the imports that it has in a project of one's own: those of this package by its name, the
 * others by paths from the new file.
 *
 * @param template the template's path in this package
 * @param path the new file's path in the project
 * @param moved paths of modules in this package that are in the project under other paths
 */
export const withBareImports = (
  text: string,
  template: string,
  path: string,
  moved: Readonly<Record<string, string>>,
): string => {
  const verbatim: string[] = []
  const names = new Map<string, string[]>()
  const start = text.search(importLine)
  let end = 0
  for (const [line, typeOnly, listed, namespace, from] of text.matchAll(importLine)) {
    end = text.indexOf(line) + line.length
    const source = sourceIn(from!, template, path, moved)
    const imported =
      namespace === undefined
        ? listed!.split(",").flatMap((name) => name.trim() || [])
        : source === packageName
          ? [namespace.replace("* as ", "")]
          : []
    if (imported.length === 0) verbatim.push(line)
    const marked = typeOnly === undefined ? imported : imported.map((name) => `type ${name}`)
    names.set(source, [...(names.get(source) ?? []), ...marked])
  }
  const imports = [...names].flatMap(([source, all]) => (all.length === 0 ? [] : [{ source, all }]))
  const lines = imports.sort(bySource).map(({ source, all }) => importOf(source, all))
  return [text.slice(0, start), ...verbatim, ...lines, text.slice(end)].join("")
}

const sourceIn = (
  from: string,
  template: string,
  path: string,
  moved: Readonly<Record<string, string>>,
): string => {
  if (reexported.has(from)) return packageName
  if (!from.startsWith(".")) return from
  const file = posix.join(posix.dirname(template), from)
  const there = moved[file]
  if (there !== undefined) {
    const relative = posix.relative(posix.dirname(path), there)
    return relative.startsWith(".") ? relative : `./${relative}`
  }
  if (file.startsWith("core/")) return packageName
  if (file === "plugins/testing/testing.ts") return `${packageName}/testing`
  return `${packageName}/${file.slice(0, -".ts".length)}`
}

/** Those of the runtime first, then packages, then the project's own files. */
const bySource = (a: { readonly source: string }, b: { readonly source: string }): number => {
  const rank = ({ source }: { readonly source: string }) =>
    /^(bun|node):/.test(source) ? 0 : source.startsWith(".") ? 2 : 1
  return rank(a) - rank(b) || (a.source < b.source ? -1 : 1)
}

const importOf = (source: string, names: readonly string[]): string => {
  const bare = (name: string) => name.replace(/^type /, "").toLowerCase()
  const sorted = [...names].sort((a, b) => (bare(a) < bare(b) ? -1 : 1))
  const onlyTypes = sorted.every((name) => name.startsWith("type "))
  const shown = onlyTypes ? sorted.map((name) => name.slice("type ".length)) : sorted
  const start = `import ${onlyTypes ? "type " : ""}{`
  const line = `${start} ${shown.join(", ")} } from "${source}"`
  if (line.length <= codeWidth) return `${line}\n`
  return `${start}\n${shown.map((name) => `  ${name},\n`).join("")}} from "${source}"\n`
}
