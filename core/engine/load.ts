/** Turns a pipeline file into its graph of units: once to plan, and again in every process that runs jobs. */
import { readdir, stat } from "node:fs/promises"
import { basename, join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { Type, type } from "arktype"
import { Data, Effect } from "effect"
import type { Pipeline, Targets } from "../api/pipeline.ts"
import { countingNodes } from "../api/plan-size.ts"
import { decode, InvalidInput } from "../io/decode.ts"
import { nearestName } from "../io/nearest-name.ts"
import { findProject, moduleExtension, packageFolder } from "../io/project.ts"
import { type Graph, graphOf } from "./graph.ts"
import type { Computing } from "./key.ts"
import { expectedName } from "./name.ts"

/** A pipeline file that cannot be used. */
export class PipelineFileError extends Data.TaggedError("PipelineFileError")<{
  readonly file: string
  readonly found: string
  readonly expected: string
}> {
  override get message() {
    return `${this.file}: ${this.found}; ${this.expected}`
  }
}

const Definition = type({
  "+": "reject",
  name: type("string").narrow((name, context) => {
    const expected = expectedName(name)
    return expected === undefined || context.mustBe(expected)
  }),
  summary: "string > 0",
  parameters: type.unknown.narrow(
    (value, context) =>
      (value instanceof Type && value.extends("object")) || context.mustBe("an arktype of an object"),
  ),
  build: "Function",
})

/** The `pipelines` folders: that of the project at work first, if there is one, then this package's. */
const pipelineFolders = () => {
  const project = findProject()
  return [
    ...(project === undefined ? [] : [{ folder: join(project, "pipelines"), extension: ".ts" }]),
    { folder: join(packageFolder, "pipelines"), extension: moduleExtension },
  ]
}

/** Pipelines by the names that a command line gives them, `quickstart.ts`, those of the project at work first. */
export const pipelineNames: Effect.Effect<readonly string[]> = Effect.promise(async () => {
  const names = new Set<string>()
  for (const { folder, extension } of pipelineFolders()) {
    for (const name of (await readdir(folder).catch(() => [])).sort()) {
      if (name.endsWith(extension) && !name.endsWith(".d.ts")) names.add(`${basename(name, extension)}.ts`)
    }
  }
  return [...names]
})

/**
 * The path of a pipeline file. A bare name is looked up in the current folder, then in the `pipelines` folders of the
 * project at work and of this package.
 */
export const findPipeline = Effect.fn("findPipeline")(function* (file: string) {
  const candidates = [resolve(file)]
  if (basename(file) === file && file !== "") {
    for (const { folder, extension } of pipelineFolders()) {
      candidates.push(join(folder, `${basename(file, ".ts")}${extension}`))
    }
  }
  let isFolder = false
  for (const candidate of candidates) {
    const found = yield* Effect.promise(() => stat(candidate).catch(() => undefined))
    if (found?.isFile()) return candidate
    isFolder ||= found?.isDirectory() === true
  }
  const names = yield* pipelineNames
  const near = nearestName(
    basename(file, ".ts"),
    names.map((name) => basename(name, ".ts")),
  )
  return yield* new PipelineFileError({
    file: file === "" ? "''" : file,
    found: isFolder ? "it is a folder" : "there is no such file",
    expected: near === undefined ? `pipelines/ contains ${names.join(", ")}` : `did you mean ${near}.ts?`,
  })
})

/** Imports a pipeline file and checks what it exports. */
export const loadPipeline = Effect.fn("loadPipeline")(function* (path: string) {
  const module = yield* Effect.tryPromise({
    try: (): Promise<Readonly<Record<string, unknown>>> => {
      // arktype's parser throws more calls below the file than the 10 that a stack trace has by default.
      Error.stackTraceLimit = Math.max(Error.stackTraceLimit, 50)
      return import(pathToFileURL(path).href)
    },
    catch: (cause) => threw(path, "while loading", cause),
  })
  if (module.default === undefined) {
    const names = Object.keys(module)
    return yield* new PipelineFileError({
      file: path,
      found:
        names.length === 0
          ? "it exports nothing"
          : `it exports ${names.join(", ")}, but has no default export`,
      expected: "expected `export default pipeline({ … })`",
    })
  }
  yield* decode(`the default export of ${path}`, Definition)(module.default)
  return module.default as Pipeline
})

/** The units of a pipeline for these parameters (checked and completed), which `computing` will compute. */
export const openPipeline = Effect.fn("openPipeline")(function* (
  path: string,
  definition: Pipeline,
  parameters: unknown,
  computing: Computing,
): Effect.fn.Return<Graph, InvalidInput | PipelineFileError> {
  const targets = yield* Effect.try({
    try: () => countingNodes(() => definition.build(parameters)),
    catch: (cause) =>
      cause instanceof InvalidInput ? cause : threw(path, "while building its graph", cause),
  })
  // A file may return anything, whatever the types say: nothing, or a promise.
  if (Object.keys((targets as Targets | null | undefined) ?? {}).length === 0) {
    return yield* new PipelineFileError({
      file: path,
      found: "build returned no targets",
      expected: "expected an object of nodes or cohorts, such as { report }",
    })
  }
  return yield* graphOf(targets, computing)
})

const threw = (file: string, when: string, thrown: unknown) => {
  // Bun reports every problem of an unreadable file at once; the first is the one to fix first.
  const cause: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown
  return new PipelineFileError({
    file,
    found: `it threw an error ${when}: ${describeThrown(cause)}${locationOf(cause, file)}`,
    expected: "fix the file and start again",
  })
}

/** Bun's own names of what keeps a file from being read (BuildMessage, ResolveMessage) say nothing to its author. */
const describeThrown = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  return cause.name.endsWith("Message") ? cause.message : `${cause.name}: ${cause.message}`
}

/** What Bun throws for a file that it cannot parse, the pipeline's own or one that it imports. */
const Unreadable = type({ position: { file: "string", line: "number" } })

/** Where in the pipeline file an exception came from: ` (line 12)`. */
const locationOf = (cause: unknown, file: string): string => {
  const unreadable = Unreadable(cause)
  if (!(unreadable instanceof type.errors)) {
    const { position } = unreadable
    return ` (${position.file === file ? "" : `${position.file}, `}line ${position.line})`
  }
  const stack = cause instanceof Error ? (cause.stack ?? "") : ""
  const at = stack.split("\n").find((line) => line.includes(file))
  const line = at === undefined ? undefined : /:(\d+):\d+\)?$/.exec(at)?.[1]
  return line === undefined ? "" : ` (line ${line})`
}
