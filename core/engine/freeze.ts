/**
 * The code of a launch: a copy of the project's sources, so that what was launched is what runs, though someone edits
 * them meanwhile, and so that they can be read years later.
 *
 * ```
 * OUT/launches/code/<digest>/     the project's sources, and a link to its node_modules
 * ```
 *
 * Keys do not depend on where the code lies. Packages are not copied: their versions are part of the keys, and a worker
 * that finds others refuses its units.
 */
import * as fs from "node:fs/promises"
import { basename, dirname, join, relative, resolve, sep } from "node:path"
import { Data, Effect } from "effect"
import { sha256 } from "../io/digest.ts"
import { attempt, exists, type FileError, fileError, writeCopiedFolder } from "../io/files.ts"
import { formatBytes } from "../io/format.ts"
import { findProject, packageFolder } from "../io/project.ts"
import { damageLine, moveAside } from "./store/damage.ts"

/** Code that cannot be copied. */
export class NotFrozen extends Data.TaggedError("NotFrozen")<{ readonly found: string }> {
  override get message() {
    return `${this.found}, so no copy of them is made: edit nothing that this run uses until it has ended`
  }
}

/** What code is made of, and what it reads from beside itself. A longer file is data. */
const source = /\.(?:[cm]?[jt]sx?|json|jsonc|lock|toml|cpp|cc|c|hpp|h|cu|cuh|wasm|css|html|md|txt)$/
const longestSource = 2 ** 21
const mostFiles = 20_000
const mostBytes = 2 ** 28

/** What is beside the sources: installed packages, and whatever is hidden. */
const isBeside = (name: string): boolean => name === "node_modules" || name.startsWith(".")

/** Whether a folder is a store, as `--out` names it: nothing in it is code. */
const isStore = (names: ReadonlySet<string>): boolean => names.has("artifacts") && names.has("sources")

interface SourceFound {
  /** Relative to the project, with forward slashes. */
  readonly path: string
  readonly content: Uint8Array
}

/** The sources in a project, or in the copy of one, in the order of their paths; `out` is none of them. */
const sourcesIn = async (project: string, out?: string): Promise<readonly SourceFound[]> => {
  const found: SourceFound[] = []
  let bytes = 0
  const visit = async (folder: string): Promise<void> => {
    if (folder === out) return
    const entries = await fs.readdir(folder, { withFileTypes: true })
    if (folder !== project && isStore(new Set(entries.map(({ name }) => name)))) return
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name)
      if (isBeside(entry.name)) continue
      // A link to a folder may lead to one that it is in.
      if (entry.isDirectory()) await visit(path)
      else if (source.test(entry.name) && (await sizeOf(path)) <= longestSource) {
        const content = await fs.readFile(path)
        found.push({ path: relative(project, path).split(sep).join("/"), content })
        bytes += content.length
        if (found.length > mostFiles || bytes > mostBytes) {
          const limit = `${mostFiles} files and ${formatBytes(mostBytes)} of sources`
          throw new NotFrozen({ found: `${project} holds more than ${limit}` })
        }
      }
    }
  }
  await visit(project)
  return found
}

/** Of a file, or of what a link leads to; infinite for anything else. */
const sizeOf = async (path: string): Promise<number> => {
  const found = await fs.stat(path).catch(() => undefined)
  return found?.isFile() === true ? found.size : Number.POSITIVE_INFINITY
}

/** Of sources and of where their packages are: a copy is never run with those of another project. */
const digestOf = (sources: readonly SourceFound[], packages: string): string =>
  sha256([packages, ...sources.map(({ path, content }) => `${sha256(content)} ${path}`)].join("\n")).slice(
    0,
    20,
  )

const packagesLink = "node_modules"

/** The folder of all copies in a store. */
export const copiesFolder = (out: string): string => join(out, "launches", "code")

/** Whether a copy has all that was copied, and nothing else. Rejects with what `node:fs` throws. */
export const isWholeCopy = async (folder: string): Promise<boolean> => {
  const packages = await fs.readlink(join(folder, packagesLink)).catch(() => "")
  return digestOf(await sourcesIn(folder), packages) === basename(folder)
}

/**
 * Copies the sources of a project into the store, once for each state of them.
 *
 * @param out the folder of the store
 * @param onLog is told if a copy was damaged
 * @returns the copy's folder, which has the same layout
 * @throws NotFrozen if there is more than a project has, or the store is the project itself
 */
export const freeze = Effect.fn("freeze")(function* (
  out: string,
  project: string,
  onLog: (line: string) => void,
): Effect.fn.Return<string, FileError | NotFrozen> {
  if (resolve(out) === resolve(project)) {
    return yield* new NotFrozen({ found: `${project} holds both the sources and what is made` })
  }
  const sources = yield* Effect.tryPromise({
    try: () => sourcesIn(project, resolve(out)),
    catch: (cause) => (cause instanceof NotFrozen ? cause : fileError("read", project, cause)),
  })
  const installed = join(project, "node_modules")
  const packages = yield* Effect.promise(() => fs.realpath(installed).catch(() => installed))
  const folder = join(copiesFolder(out), digestOf(sources, packages))
  if (yield* exists(folder)) {
    if (yield* attempt("read", folder, () => isWholeCopy(folder))) return folder
    // Someone has edited it, or a power cut has left it so.
    const to = yield* moveAside(out, basename(folder), [relative(out, folder)])
    onLog(damageLine({ of: folder, found: "the copy of the code was changed", to }))
  }
  yield* writeCopiedFolder(folder, (temporary) =>
    attempt("write", folder, async () => {
      for (const { path, content } of sources) {
        const to = join(temporary, path)
        await fs.mkdir(dirname(to), { recursive: true })
        await fs.writeFile(to, content)
      }
      await fs.symlink(packages, join(temporary, packagesLink))
    }),
  )
  return folder
})

/** Where worker processes find their code. */
export interface LaunchedCode {
  /** The pipeline file. */
  readonly file: string
  /** The folder of this package: it holds `core`. */
  readonly package: string
  /** Of the project and its copy, if this is one. */
  readonly copied?: { readonly from: string; readonly to: string }
}

/** The code as it lies there, where it may be edited. */
export const codeOf = (file: string): LaunchedCode => ({ file, package: packageFolder })

/**
 * The code of a launch, copied into the store: of the project at work, or of this package if one works in its checkout.
 *
 * @param out the folder of the store
 * @param file the pipeline file
 * @throws NotFrozen if the file is not in the project, or there is more than a project has
 */
export const frozenCode = Effect.fn("frozenCode")(function* (
  out: string,
  file: string,
  onLog: (line: string) => void,
): Effect.fn.Return<LaunchedCode, FileError | NotFrozen> {
  const own = findProject()
  const from = yield* attempt("read", own ?? packageFolder, () => fs.realpath(own ?? packageFolder))
  const path = relative(from, yield* attempt("read", file, () => fs.realpath(file)))
  if (path.startsWith("..") || path.split(sep).includes("node_modules") || from.includes("node_modules")) {
    return yield* new NotFrozen({ found: `${file} is not among the sources of a project` })
  }
  const copy = yield* freeze(out, from, onLog)
  const to = yield* attempt("read", copy, () => fs.realpath(copy))
  // Too long for a source, or hidden.
  if (!(yield* exists(join(to, path)))) {
    return yield* new NotFrozen({ found: `${file} is not among the sources of a project` })
  }
  return {
    file: join(to, path),
    package: own === undefined ? to : packageFolder,
    copied: { from, to },
  }
})
