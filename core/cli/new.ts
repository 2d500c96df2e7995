/** `bun run new STAGE NAME`: a plugin and its test to start from. */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { InvalidInput } from "../decode.ts"
import { attempt, exists, readText, remove } from "../files.ts"
import { describeOptions } from "../options.ts"
import type { AnyPlugin } from "../plugin.ts"
import { projectFolder } from "../project.ts"
import { type Stage, stages } from "../stage.ts"

export const newCommand = Command.make(
  "new",
  {
    stage: Argument.Literals("stage", stages).pipe(
      Argument.withDescription("What kind of plugin it is to be"),
    ),
    name: Argument.String("name").pipe(
      Argument.withDescription("Its name: lower case with hyphens, such as weight-norm"),
    ),
  },
  Effect.fn("new")(function* ({ stage, name }) {
    const refuse = (problem: string) =>
      new InvalidInput({ what: `new ${stage} ${name}`, problems: [problem] })
    const problem = yield* problemOf(name)
    if (problem !== undefined) return yield* refuse(problem)
    const identifier = name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())
    const [plugin, test] = placesOf(stage, name)
    const files = yield* Effect.forEach([plugin, test], ({ template, path }) =>
      Effect.map(readText(join(projectFolder, template)), (text) => ({ path, text })),
    )
    if (files.some(({ text }) => new RegExp(`\\b${identifier}\\b`).test(text))) {
      return yield* refuse(
        `${identifier} stands for something else in the new files; choose another name, such as my-${name}`,
      )
    }
    const made = yield* writeAll(
      files.map(({ path, text }) => ({ path, text: filled(text, stage, name, identifier) })),
      load(plugin.path, identifier),
    )
    process.stdout.write(`wrote ${plugin.path}
wrote ${test.path}

its test:
  bun test ${test.path}
in a file in pipelines/:
  import { ${identifier} } from "../${plugin.path}"
  ${identifier}({ ${namesOf(made).join(", ")} })
`)
  }),
).pipe(
  Command.withDescription("Write a new plugin that works, with its test, to start from"),
  Command.withExamples([
    { command: "bun run new probe weight-norm", description: "plugins/probe/weight-norm.ts and its test" },
  ]),
)

const longestName = 40

const problemOf = Effect.fnUntraced(function* (name: string) {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name.length > longestName) {
    return `the name must be lower-case letters and digits with single hyphens, at most ${longestName} characters, such as weight-norm (was ${JSON.stringify(name)})`
  }
  for (const stage of stages) {
    for (const { path } of placesOf(stage, name)) {
      if (yield* exists(join(projectFolder, path))) return `the name is taken: there is ${path}`
    }
  }
  return undefined
})

/** The plugin and its test, by their paths in the project; the templates are working plugins themselves. */
const placesOf = (stage: Stage, name: string) =>
  [
    { template: `plugins/template/${stage}.ts`, path: `plugins/${stage}/${name}.ts` },
    { template: `test/plugins/template/${stage}.test.ts`, path: `test/plugins/${stage}/${name}.test.ts` },
  ] as const

/** A template as it stands in the folder of its stage, under its new name. */
const filled = (text: string, stage: Stage, name: string, identifier: string): string =>
  text
    .replaceAll(`plugins/template/${stage}.ts`, `plugins/${stage}/${name}.ts`)
    .replaceAll(`template${stage[0]!.toUpperCase()}${stage.slice(1)}`, identifier)
    .replaceAll(`template-${stage}`, name)
    .replaceAll(`"../${stage}/`, '"./')

/** Writes new files, all or none: they are taken away again where one is there already, or where `check` fails. */
const writeAll = <A, E>(
  files: readonly { readonly path: string; readonly text: string }[],
  check: Effect.Effect<A, E>,
) => {
  const written: string[] = []
  return Effect.forEach(files, ({ path, text }) => {
    const target = join(projectFolder, path)
    return attempt("write", target, async () => {
      await fs.mkdir(join(target, ".."), { recursive: true })
      const file = await fs.open(target, "wx")
      written.push(target)
      await file.writeFile(text).finally(() => file.close())
    })
  }).pipe(
    Effect.andThen(check),
    Effect.onError(() => Effect.forEach(written, remove)),
  )
}

/** The plugin that a new file exports: a name such as `delete` makes a file that does not load. */
const load = (path: string, identifier: string) =>
  Effect.tryPromise({
    try: async (): Promise<AnyPlugin> =>
      (await import(pathToFileURL(join(projectFolder, path)).href))[identifier],
    catch: (cause) =>
      new InvalidInput({
        what: path,
        problems: [`it does not load under this name (${String(cause)}); choose another name`],
      }),
  })

/** What must be given to a plugin: its inputs and its options without a default. */
const namesOf = ({ takes, watches, options }: AnyPlugin): readonly string[] => [
  ...Object.entries(takes).flatMap(([name, take]) => ("optional" in take ? [] : [name])),
  ...(watches === undefined ? [] : [watches]),
  ...describeOptions(options).flatMap(({ name, fallback }) => (fallback === undefined ? [name] : [])),
]
