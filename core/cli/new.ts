/** `bun run new STAGE NAME`: writes a plugin and its test to start from; `bun run new project DIR`: a whole project. */
import * as fs from "node:fs/promises"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { parseSync } from "oxc-parser"
import type { AnyPlugin } from "../api/plugin.ts"
import { type Stage, stages } from "../api/stage.ts"
import { InvalidInput } from "../io/decode.ts"
import { attempt, exists, type FileError, readText, remove } from "../io/files.ts"
import { describeOptions } from "../io/options.ts"
import { findProject, moduleExtension, packageFolder, packageName } from "../io/project.ts"
import { writeProject } from "./new-project.ts"
import { identifierOf, renamed, withBareImports } from "./scaffold.ts"
import { alternatives } from "./usage-error.ts"

const kinds = [...stages, "project"] as const

export const newCommand = Command.make(
  "new",
  {
    stage: Argument.Literals("stage", kinds).pipe(
      Argument.withDescription(`The plugin's stage, or project (${alternatives(kinds)})`),
    ),
    name: Argument.String("name").pipe(
      Argument.withDescription(
        "The plugin's name, lower case with hyphens, such as weight-norm; or the project's folder",
      ),
    ),
  },
  Effect.fn("new")(function* ({ stage, name }) {
    if (stage === "project") {
      const { files, next } = yield* writeProject(name)
      process.stdout.write(
        `${files.map((file) => `wrote ${file}\n`).join("")}\nnext:\n  ${next.join("\n  ")}\n`,
      )
      return
    }
    const { plugin, test, identifier, given } = yield* writePlugin(
      yield* projectAtWork(stage, name),
      stage,
      name,
    )
    process.stdout.write(`wrote ${plugin}
wrote ${test}

run its test:
  bun test ${test}
use it in a file in pipelines/:
  import { ${identifier} } from "../${plugin}"
  ${identifier}({ ${given.join(", ")} })
`)
  }),
).pipe(
  Command.withDescription("Write a working plugin and its test, or a project of your own, to start from"),
  Command.withExamples([
    { command: "bun run new probe weight-norm", description: "plugins/probe/weight-norm.ts and its test" },
    {
      command: "bun run new project ../my-study",
      description: "A folder for your own plugins and pipelines",
    },
  ]),
)

/** The folder that a new plugin is written into: the project at work or, in a checkout of this package, the checkout. */
const projectAtWork = Effect.fnUntraced(function* (stage: Stage, name: string) {
  const project = findProject()
  if (project !== undefined) return project
  if (moduleExtension === ".ts") return packageFolder
  return yield* new InvalidInput({
    what: `new ${stage} ${name}`,
    problems: [
      `expected a package.json that depends on ${packageName} in this folder or above, found none; ${packageName} new project DIR writes one`,
    ],
  })
})

export interface NewPlugin {
  /** The paths of the plugin and of its test, relative to the project. */
  readonly plugin: string
  readonly test: string
  /** The name under which the plugin is exported. */
  readonly identifier: string
  /** What it requires: its inputs, and its options without a default. */
  readonly given: readonly string[]
}

/**
 * Writes the template of a stage and its test under a new name: both files or neither, and never over an existing one.
 *
 * @param project the folder that holds `plugins` and `test`: this package's, or that of a project of one's own
 * @throws InvalidInput if the name is invalid or taken, or the new file does not load
 * @throws FileError if a template cannot be read or a file cannot be written
 */
export const writePlugin: (
  project: string,
  stage: Stage,
  name: string,
) => Effect.Effect<NewPlugin, InvalidInput | FileError> = Effect.fn("writePlugin")(function* (
  project: string,
  stage: Stage,
  name: string,
) {
  const refuse = (problem: string) => new InvalidInput({ what: `new ${stage} ${name}`, problems: [problem] })
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name.length > longestName) {
    return yield* refuse(
      `the name must be lower-case letters and digits with single hyphens, at most ${longestName} characters, such as weight-norm (was ${JSON.stringify(name)})`,
    )
  }
  const identifier = identifierOf(name)
  if (
    parseSync("name.ts", `export const ${identifier} = 0`, { showSemanticErrors: true }).errors.length > 0
  ) {
    return yield* refuse(`${identifier} is a word of the language; choose another name, such as my-${name}`)
  }
  const inside = yield* isPackage(project)
  for (const other of stages) {
    for (const { path } of pathsOf(other, name, inside)) {
      if (yield* exists(join(project, path))) return yield* refuse(`the name is taken by ${path}`)
    }
    const [{ path }] = pathsOf(other, name, inside)
    const ours = path.replace(/\.ts$/, moduleExtension)
    if (!inside && (yield* exists(join(packageFolder, ours))))
      return yield* refuse(`the name is taken by ${packageName}/${ours}`)
  }
  const [plugin, test] = pathsOf(stage, name, inside)
  const templates = inside ? project : packageFolder
  const files = yield* Effect.forEach([plugin, test], ({ template, path }) =>
    Effect.map(readText(join(templates, template)), (text) => ({ template, path, text })),
  )
  if (files.some(({ text }) => new RegExp(`\\b${identifier}\\b`).test(text))) {
    return yield* refuse(
      `${identifier} already means something else in the new files; choose another name, such as my-${name}`,
    )
  }
  const textOf = inside ? filled : filledForProject
  const load = Effect.tryPromise({
    try: async (): Promise<AnyPlugin> =>
      (await import(pathToFileURL(join(project, plugin.path)).href))[identifier],
    catch: (cause) => refuse(`${plugin.path} does not load: ${String(cause)}`),
  })
  const written: string[] = []
  const made = yield* Effect.forEach(files, (file) => {
    const path = join(project, file.path)
    return attempt("write", path, async () => {
      await fs.mkdir(dirname(path), { recursive: true })
      const handle = await fs.open(path, "wx")
      written.push(path)
      await handle.writeFile(textOf(file, stage, name)).finally(() => handle.close())
    })
  }).pipe(
    // It does not if this package is not installed.
    Effect.andThen(load),
    Effect.onError(() => Effect.forEach(written, remove)),
  )
  return { plugin: plugin.path, test: test.path, identifier, given: givenTo(made) }
})

const longestName = 40

/** Whether a folder is a checkout of this package, whose files import each other by relative paths. */
const isPackage = (folder: string) => exists(join(folder, "plugins", "template"))

/** The paths of the plugin and its test, and of their templates, which are a working plugin and test themselves. */
const pathsOf = (stage: Stage, name: string, inside: boolean) =>
  [
    { template: `plugins/template/${stage}.ts`, path: `plugins/${stage}/${name}.ts` },
    {
      template: `test/plugins/template/${inside ? "" : "project/"}${stage}.test.ts`,
      path: `test/plugins/${stage}/${name}.test.ts`,
    },
  ] as const

interface Template {
  /** The template's path in this package, and the new file's in the project. */
  readonly template: string
  readonly path: string
  readonly text: string
}

/** A template's text as it must be in the folder of its stage in a checkout, under its new name. */
const filled = ({ text }: Template, stage: Stage, name: string): string =>
  renamed(
    text.replaceAll(`plugins/template/${stage}.ts`, `plugins/${stage}/${name}.ts`),
    stage,
    name,
  ).replaceAll(`"../${stage}/`, '"./')

/** A template's text as it must be in a project of one's own, under its new name. */
export const filledForProject = ({ template, path, text }: Template, stage: Stage, name: string): string =>
  renamed(
    withBareImports(text, template, path, {
      [`plugins/template/${stage}.ts`]: `plugins/${stage}/${name}.ts`,
    }),
    stage,
    name,
  )

const givenTo = ({ takes, watches, options }: AnyPlugin): readonly string[] => [
  ...Object.entries(takes).flatMap(([name, take]) => ("optional" in take ? [] : [name])),
  ...(watches === undefined ? [] : [watches]),
  ...describeOptions(options).flatMap(({ name, fallback }) => (fallback === undefined ? [name] : [])),
]
