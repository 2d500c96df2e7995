/** `bun run new STAGE NAME`: writes a plugin and its test to start from. */
import * as fs from "node:fs/promises"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import type { AnyPlugin } from "../api/plugin.ts"
import { type Stage, stages } from "../api/stage.ts"
import { InvalidInput } from "../io/decode.ts"
import { attempt, exists, type FileError, readText, remove } from "../io/files.ts"
import { describeOptions } from "../io/options.ts"
import { packageFolder } from "../io/project.ts"
import { alternatives } from "./usage-error.ts"

export const newCommand = Command.make(
  "new",
  {
    stage: Argument.Literals("stage", stages).pipe(
      Argument.withDescription(`The plugin's stage (${alternatives(stages)})`),
    ),
    name: Argument.String("name").pipe(
      Argument.withDescription("The plugin's name, lower case with hyphens, such as weight-norm"),
    ),
  },
  Effect.fn("new")(function* ({ stage, name }) {
    const { plugin, test, identifier, given } = yield* writePlugin(packageFolder, stage, name)
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
  Command.withDescription("Write a working plugin and its test, to start from"),
  Command.withExamples([
    { command: "bun run new probe weight-norm", description: "plugins/probe/weight-norm.ts and its test" },
  ]),
)

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
 * @throws InvalidInput if the name is invalid, is taken, or makes a file that does not load
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
  for (const { path } of stages.flatMap((stage) => pathsOf(stage, name))) {
    if (yield* exists(join(project, path))) return yield* refuse(`the name is taken by ${path}`)
  }
  const identifier = name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())
  const [plugin, test] = pathsOf(stage, name)
  const files = yield* Effect.forEach([plugin, test], ({ template, path }) =>
    Effect.map(readText(join(project, template)), (text) => ({ path: join(project, path), text })),
  )
  if (files.some(({ text }) => new RegExp(`\\b${identifier}\\b`).test(text))) {
    return yield* refuse(
      `${identifier} already means something else in the new files; choose another name, such as my-${name}`,
    )
  }
  const load = Effect.tryPromise({
    try: async (): Promise<AnyPlugin> =>
      (await import(pathToFileURL(join(project, plugin.path)).href))[identifier],
    catch: (cause) => refuse(`${plugin.path} does not load (${String(cause)}); choose another name`),
  })
  const written: string[] = []
  const made = yield* Effect.forEach(files, ({ path, text }) =>
    attempt("write", path, async () => {
      await fs.mkdir(dirname(path), { recursive: true })
      const file = await fs.open(path, "wx")
      written.push(path)
      await file.writeFile(filled(text, stage, name, identifier)).finally(() => file.close())
    }),
  ).pipe(
    // A name such as `delete` makes a file that does not load.
    Effect.andThen(load),
    Effect.onError(() => Effect.forEach(written, remove)),
  )
  return { plugin: plugin.path, test: test.path, identifier, given: givenTo(made) }
})

const longestName = 40

/** The paths of the plugin and its test, and of their templates, which are a working plugin and test themselves. */
const pathsOf = (stage: Stage, name: string) =>
  [
    { template: `plugins/template/${stage}.ts`, path: `plugins/${stage}/${name}.ts` },
    { template: `test/plugins/template/${stage}.test.ts`, path: `test/plugins/${stage}/${name}.test.ts` },
  ] as const

/** A template's text as it must be in the folder of its stage, under its new name. */
const filled = (text: string, stage: Stage, name: string, identifier: string): string =>
  text
    .replaceAll(`plugins/template/${stage}.ts`, `plugins/${stage}/${name}.ts`)
    .replaceAll(`template${stage[0]!.toUpperCase()}${stage.slice(1)}`, identifier)
    .replaceAll(`template-${stage}`, name)
    .replaceAll(`"../${stage}/`, '"./')

const givenTo = ({ takes, watches, options }: AnyPlugin): readonly string[] => [
  ...Object.entries(takes).flatMap(([name, take]) => ("optional" in take ? [] : [name])),
  ...(watches === undefined ? [] : [watches]),
  ...describeOptions(options).flatMap(({ name, fallback }) => (fallback === undefined ? [name] : [])),
]
