/**
 * What stands in the `plugins` folder, by importing it: for commands that list plugins or name a backend.
 * Pipelines import the plugins that they use; nothing is looked up by name when they run.
 */
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { Data, Effect } from "effect"
import type { Bench } from "../api/bench.ts"
import type { Check } from "../api/check.ts"
import type { AnyPlugin } from "../api/plugin.ts"
import type { Stage } from "../api/stage.ts"
import { attempt } from "../io/files.ts"
import { projectFolder } from "../io/project.ts"
import type { Backend } from "../tensor/backend.ts"

/** A plugin file that does not load. */
export class PluginFileError extends Data.TaggedError("PluginFileError")<{
  readonly file: string
  readonly reason: string
}> {
  override get message() {
    return `${this.file} does not load: ${this.reason}`
  }
}

const exportsOf = Effect.fnUntraced(function* (folder: string) {
  const path = join(projectFolder, "plugins", folder)
  const names = yield* attempt("list", path, () => readdir(path))
  const files = names.filter((name) => name.endsWith(".ts")).sort()
  return (yield* Effect.forEach(files, (name) =>
    Effect.tryPromise({
      try: async () => Object.values<unknown>(await import(pathToFileURL(join(path, name)).href)),
      catch: (cause) => new PluginFileError({ file: join("plugins", folder, name), reason: String(cause) }),
    }),
  )).flat()
})

const isPlugin = (value: unknown): value is AnyPlugin =>
  typeof value === "function" && "stage" in value && "takes" in value && "gives" in value

const isBackend = (value: unknown): value is Backend =>
  typeof value === "object" && value !== null && "rank" in value && "check" in value && "register" in value

const isCheck = (value: unknown): value is Check =>
  typeof value === "object" && value !== null && "check" in value && "compare" in value

/** The comparisons with reference figures. */
export const checks = Effect.fn("checks")(function* () {
  return (yield* exportsOf("check")).filter(isCheck)
})

const isBench = (value: unknown): value is Bench =>
  typeof value === "object" && value !== null && "bench" in value && "prepare" in value

/** The measurements of speed. */
export const benches = Effect.fn("benches")(function* () {
  return (yield* exportsOf("bench")).filter(isBench)
})

/** The plugins of a stage, by name. */
export const pluginsOf = Effect.fn("pluginsOf")(function* (stage: Stage) {
  return (yield* exportsOf(stage)).filter(isPlugin).sort((a, b) => (a.name < b.name ? -1 : 1))
})

/** The tensor backends, the one that `auto` would rather take first. */
export const backends = Effect.fn("backends")(function* () {
  return (yield* exportsOf("backend")).filter(isBackend).sort((a, b) => b.rank - a.rank)
})

/** A backend that was asked for and is not there. */
export class UnknownBackend extends Data.TaggedError("UnknownBackend")<{
  readonly name: string
  readonly known: readonly string[]
}> {
  override get message() {
    return `--backend ${this.name}: there is no such backend; auto, ${this.known.join(", ")} were expected`
  }
}

/**
 * The backend of this name; `auto` is the best one that can run here. One line tells of a better one that should, and
 * cannot.
 */
export const backendNamed = Effect.fn("backendNamed")(function* (name: string) {
  const all = yield* backends()
  if (name !== "auto") {
    const named = all.find((backend) => backend.name === name)
    if (named === undefined) {
      return yield* new UnknownBackend({ name, known: all.map((backend) => backend.name) })
    }
    yield* named.check
    return named
  }
  const checked = all.map((backend) =>
    backend.check.pipe(
      Effect.tapError(({ message }) =>
        Effect.sync(() => {
          if (backend.optional === undefined) process.stderr.write(`${message}\n`)
        }),
      ),
      Effect.as(backend),
    ),
  )
  return yield* Effect.firstSuccessOf(checked)
})
