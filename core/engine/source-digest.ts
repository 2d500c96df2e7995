import { existsSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { sha256 } from "../io/digest.ts"
import { projectFolder } from "../io/project.ts"

/** What a file imports by a relative path. Imports of types only leave nothing behind that could run. */
const relativeImport =
  /^\s*(?:import|export)\s+(?!type\b)[^"';]*?from\s*["'](\.[^"']+)["']|^\s*import\s*["'](\.[^"']+)["']|\bimport\(\s*["'](\.[^"']+)["']/gm

const core = join(projectFolder, "core")
const digests = new Map<string, string>()

/**
 * The digest of a plugin's code: the text of its file and of all files that it imports by relative paths, but for
 * those of `core`, whose changes are told by the versions of plugins. An edited plugin is another plugin. Read once in
 * a process.
 *
 * @param module the plugin's `import.meta.url`
 */
export const sourceDigest = (module: string): string => {
  const known = digests.get(module)
  if (known !== undefined) return known
  const first = fileURLToPath(module)
  const texts = new Map<string, string>()
  const visit = (path: string): void => {
    if (texts.has(path) || !relative(core, path).startsWith("..") || !existsSync(path)) return
    const text = readFileSync(path, "utf8")
    texts.set(path, text)
    for (const [, from, bare, dynamic] of text.matchAll(relativeImport)) {
      visit(join(dirname(path), (from ?? bare ?? dynamic)!))
    }
  }
  visit(first)
  const parts = [...texts].map(([path, text]) => [relative(dirname(first), path), sha256(text)])
  const digest = sha256(JSON.stringify(parts.sort(([a], [b]) => (a! < b! ? -1 : 1))))
  digests.set(module, digest)
  return digest
}
