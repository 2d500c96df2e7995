/**
 * Finds what the files in `plugins` folders declare by importing them, those of this package and those of the project
 * at work, for commands that list plugins or name a backend. Pipelines import the plugins that they use; no plugin is
 * looked up by name when they run.
 */
import { existsSync } from "node:fs"
import { readdir } from "node:fs/promises"
import { join, relative, sep } from "node:path"
import { pathToFileURL } from "node:url"
import { Data, Effect } from "effect"
import type { Bench } from "../api/bench.ts"
import type { Check } from "../api/check.ts"
import type { ComponentMaker } from "../api/component.ts"
import type { Launcher } from "../api/launcher.ts"
import type { AnyPlugin } from "../api/plugin.ts"
import { stages } from "../api/stage.ts"
import { attempt, type FileError } from "../io/files.ts"
import { unknownName } from "../io/nearest-name.ts"
import { findProject, moduleExtension, packageFolder, packageName } from "../io/project.ts"
import type { Backend } from "../tensor/backend.ts"

/** A file in a `plugins` folder that does not load, or whose declarations are wrong. */
export class PluginFileError extends Data.TaggedError("PluginFileError")<{
  /** Its path, relative to the folder that holds `plugins`; after `kasosei/` if it is this package's, seen from a project. */
  readonly file: string
  readonly problem: string
}> {
  override get message() {
    return `${this.file}: ${this.problem}`
  }
}

/** What files declare, by the `kind` that `plugin`, `probe`, `backend`, `check`, `bench` and `launcher` set. */
interface Kinds {
  readonly plugin: AnyPlugin
  readonly backend: Backend
  readonly check: Check
  readonly bench: Bench
  readonly launcher: Launcher
  readonly "component-maker": ComponentMaker
}

interface Declared<T> {
  /** As in {@link PluginFileError}. */
  readonly file: string
  /** The folder of `plugins` that its file is in. */
  readonly folder: string
  readonly declaration: T
}

const isOfKind =
  <K extends keyof Kinds>(kind: K) =>
  (value: unknown): value is Kinds[K] =>
    (typeof value === "object" || typeof value === "function") &&
    value !== null &&
    "kind" in value &&
    value.kind === kind

/**
 * The folders that hold a `plugins` folder: this package's, and that of the project at work, if there is one. A project
 * need not have a folder for every stage.
 */
const searched = (): readonly string[] => {
  const project = findProject()
  return project === undefined ? [packageFolder] : [packageFolder, project]
}

/** All declarations of one kind that the files in these folders of `plugins` export, in the order of the files. */
const declared = <K extends keyof Kinds>(
  kind: K,
  roots: readonly string[],
  folders: readonly string[],
): Effect.Effect<readonly Declared<Kinds[K]>[], FileError | PluginFileError> =>
  Effect.gen(function* () {
    const all: Declared<Kinds[K]>[] = []
    const found = yield* Effect.forEach(roots, (root, i) =>
      Effect.forEach(folders, (folder) => filesIn(root, folder, i > 0)),
    )
    for (const { path, folder } of found.flat(2)) {
      const file = shownPath(path, roots)
      const declarations = yield* exportedBy(kind, path, file)
      // Otherwise its author would wonder why it is not listed.
      if (declarations.length === 0)
        return yield* new PluginFileError({ file, problem: nothingDeclared(kind, folder) })
      for (const declaration of declarations) {
        const { name } = declaration
        if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) {
          const problem = `expected a name in lower case with hyphens, found ${JSON.stringify(name)}`
          return yield* new PluginFileError({ file, problem })
        }
        const other = all.find(({ declaration }) => declaration.name === name)
        if (other !== undefined) {
          const where = other.file === file ? "in this file" : `in ${other.file}`
          const problem = `a ${kind} named ${name} is already declared ${where}; rename one of the two`
          return yield* new PluginFileError({ file, problem })
        }
        all.push({ file, folder, declaration })
      }
    }
    return all
  })

/** What a file exports of one kind. A value exported under two names counts once. */
const exportedBy = <K extends keyof Kinds>(kind: K, path: string, file: string) =>
  Effect.tryPromise({
    try: async () =>
      [...new Set<unknown>(Object.values(await import(pathToFileURL(path).href)))].filter(isOfKind(kind)),
    catch: (cause) => new PluginFileError({ file, problem: `it does not load: ${String(cause)}` }),
  })

/** The modules in a folder of `plugins`; none if there is no such folder and `mayLack`. */
const filesIn = (root: string, folder: string, mayLack: boolean) =>
  Effect.map(modulesIn(root, join("plugins", folder), mayLack), (paths) =>
    paths.map((path) => ({ path, folder: `plugins/${folder}` })),
  )

const modulesIn = (root: string, folder: string, mayLack: boolean) => {
  const path = join(root, folder)
  const extension = root === packageFolder ? moduleExtension : ".ts"
  return Effect.map(
    attempt("list", path, () => (mayLack && !existsSync(path) ? Promise.resolve([]) : readdir(path))),
    (names) =>
      names
        .filter((name) => name.endsWith(extension) && !name.endsWith(".d.ts"))
        .sort()
        .map((name) => join(path, name)),
  )
}

const shownPath = (path: string, roots: readonly string[]): string => {
  // One may be inside the other: an installed package in its project, or a project of examples in the checkout.
  const [root] = roots
    .filter((root) => !relative(root, path).startsWith(".."))
    .sort((a, b) => b.length - a.length)
  const inside = relative(root!, path).split(sep).join("/")
  return root === packageFolder && roots.length > 1 ? `${packageName}/${inside}` : inside
}

const nothingDeclared = (kind: keyof Kinds, folder: string): string => {
  const declare = folder === "plugins/probe" ? "probe" : kind
  return `it exports no ${kind}; export one that ${declare}(…) declares, or move the file to a subfolder, such as ${folder}/shared`
}

/**
 * The plugins, sorted by stage and name.
 *
 * @param roots the folders that hold a `plugins` folder; the first has one for every stage
 * @throws PluginFileError if a file does not load, declares no plugin, or declares one of a stage other than its
 *   folder's or with a name that is taken
 */
export const plugins = Effect.fn("plugins")(function* (roots = searched()) {
  const found = yield* declared("plugin", roots, stages)
  for (const { file, folder, declaration } of found) {
    const own = `plugins/${declaration.stage}`
    if (folder === own) continue
    const problem = `the plugin ${declaration.name} has the stage ${declaration.stage}; move the file to ${own} or correct the stage`
    return yield* new PluginFileError({ file, problem })
  }
  return found
    .map(({ declaration }) => declaration)
    .sort((a, b) => stages.indexOf(a.stage) - stages.indexOf(b.stage) || (a.name < b.name ? -1 : 1))
})

/** The report of this name, if there is one. */
export const reportNamed = Effect.fn("reportNamed")(function* (name: string, roots = searched()) {
  const found = yield* declared("plugin", roots, ["report"])
  return found.map(({ declaration }) => declaration).find((report) => report.name === name)
})

/** The roles of components that a folder of `core/tensor` has, or one of the project's `plugins`, by their plural. */
const roles = ["optimiser", "schedule", "regulariser", "parametrisation"] as const

/** The components that a command line can name: those of this package, and those of the project at work. */
export const components = Effect.fn("components")(function* (roots = searched()) {
  const all: ComponentMaker[] = []
  for (const [i, root] of roots.entries()) {
    for (const role of roles) {
      for (const path of yield* modulesIn(root, join(i > 0 ? "plugins" : "core/tensor", `${role}s`), i > 0)) {
        all.push(...(yield* exportedBy("component-maker", path, shownPath(path, roots))))
      }
    }
  }
  return all
})

/** All declarations of a kind that has its own folder. */
const declaredIn = <K extends keyof Kinds>(kind: K, roots: readonly string[]) =>
  Effect.map(declared(kind, roots, [kind]), (found) => found.map(({ declaration }) => declaration))

/** The tensor backends, in the order in which `auto` prefers them. */
export const backends = Effect.fn("backends")(function* (roots = searched()) {
  return (yield* declaredIn("backend", roots)).sort((a, b) => b.rank - a.rank)
})

/** The comparisons with reference figures. */
export const checks = (roots = searched()) => declaredIn("check", roots)

/** The speed measurements. */
export const benches = (roots = searched()) => declaredIn("bench", roots)

/** Where the jobs of a plan can run. */
export const launchers = (roots = searched()) => declaredIn("launcher", roots)

/** A launcher that was asked for and is not there. */
export class UnknownLauncher extends Data.TaggedError("UnknownLauncher")<{
  readonly name: string
  readonly known: readonly string[]
}> {
  override get message() {
    return `--launcher: ${unknownName("launcher", this.name, this.known)}`
  }
}

/**
 * The launcher of this name.
 *
 * @throws UnknownLauncher
 */
export const launcherNamed = Effect.fn("launcherNamed")(function* (name: string) {
  const all = yield* launchers()
  const named = all.find((launcher) => launcher.name === name)
  return named ?? (yield* new UnknownLauncher({ name, known: all.map(({ name }) => name) }))
})

/** A backend that was asked for and is not there. */
export class UnknownBackend extends Data.TaggedError("UnknownBackend")<{
  readonly name: string
  readonly known: readonly string[]
}> {
  override get message() {
    return `--backend: ${unknownName("backend", this.name, ["auto", ...this.known])}`
  }
}

/**
 * The backend of this name, which may not be able to run here.
 *
 * @throws UnknownBackend
 */
export const declaredBackend = Effect.fn("declaredBackend")(function* (name: string) {
  const all = yield* backends()
  const named = all.find((backend) => backend.name === name)
  return named ?? (yield* new UnknownBackend({ name, known: all.map((backend) => backend.name) }))
})

/**
 * The backend of this name, which can run here; `auto` is the best one that can. One line tells of a better one that
 * should, and cannot.
 */
export const backendNamed = Effect.fn("backendNamed")(function* (name: string) {
  if (name !== "auto") return yield* Effect.tap(declaredBackend(name), ({ check }) => check)
  const all = yield* backends()
  const checked = all.map((backend) =>
    backend.check.pipe(
      Effect.tapError(({ message, isAbsent }) =>
        Effect.sync(() => {
          if (isAbsent === undefined) process.stderr.write(`${message}\n`)
        }),
      ),
      Effect.as(backend),
    ),
  )
  return yield* Effect.firstSuccessOf(checked)
})
