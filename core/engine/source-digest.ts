import { readFileSync, statSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync } from "oxc-parser"
import { sha256 } from "../io/digest.ts"
import { packageFolder } from "../io/project.ts"

/**
 * The relative paths from which a file imports or re-exports code that could run; type-only imports vanish at run
 * time. A dynamic import counts if its path is a plain string.
 *
 * The parser continues after errors: from a file that does not parse, what it found is used. The loader reports it.
 */
const relativeImports = (path: string, text: string): readonly string[] => {
  const { staticImports, staticExports, dynamicImports } = parseSync(path, text).module
  const imported = staticImports.flatMap(({ moduleRequest, entries }) =>
    entries.length > 0 && entries.every(({ isType }) => isType) ? [] : [moduleRequest.value],
  )
  const exported = staticExports.flatMap(({ entries }) =>
    entries.flatMap(({ moduleRequest, isType }) =>
      moduleRequest === null || isType ? [] : [moduleRequest.value],
    ),
  )
  const dynamic = dynamicImports.flatMap(
    ({ moduleRequest: { start, end } }) => /^(["'])([^\\]*)\1$/.exec(text.slice(start, end))?.[2] ?? [],
  )
  return [...imported, ...exported, ...dynamic].filter((specifier) => specifier.startsWith("."))
}

interface SourceFile {
  readonly digest: string
  /** Absolute paths. */
  readonly imports: readonly string[]
}

const core = join(packageFolder, "core")
const files = new Map<string, SourceFile>()
const digests = new Map<string, string>()

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true

const sourceFile = (path: string): SourceFile => {
  const known = files.get(path)
  if (known !== undefined) return known
  const text = readFileSync(path, "utf8")
  const imports = relativeImports(path, text).map((specifier) => join(dirname(path), specifier))
  const file = { digest: sha256(text), imports }
  files.set(path, file)
  return file
}

/**
 * The digest of a plugin's code: the text of its file and of all files that it imports by relative paths, directly or
 * not, except those of `core`; a change there that matters raises the versions of plugins. An edited plugin is another
 * plugin. Each file is read once per process.
 *
 * @param module the plugin's `import.meta.url`
 */
export const sourceDigest = (module: string): string => {
  const known = digests.get(module)
  if (known !== undefined) return known
  const first = fileURLToPath(module)
  const found = new Map<string, string>()
  const visit = (path: string): void => {
    if (found.has(path) || !relative(core, path).startsWith("..") || !isFile(path)) return
    const { digest, imports } = sourceFile(path)
    found.set(path, digest)
    imports.forEach(visit)
  }
  visit(first)
  const parts = [...found].map(([path, digest]) => [relative(dirname(first), path), digest])
  const digest = sha256(JSON.stringify(parts.sort(([a], [b]) => (a! < b! ? -1 : 1))))
  digests.set(module, digest)
  return digest
}
