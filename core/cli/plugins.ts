/** `bun run plugins`: what stands in the `plugins` folder, with its options. */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import type { AnyPlugin } from "../api/plugin.ts"
import { stages } from "../api/stage.ts"
import { backends, pluginsOf } from "../engine/discover.ts"
import { describeOptions } from "../io/options.ts"

export const pluginsCommand = Command.make(
  "plugins",
  {
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print the list as JSON on standard output"),
      Flag.withDefault(false),
    ),
  },
  Effect.fn("plugins")(function* ({ json }) {
    const listed = yield* Effect.forEach(stages, (stage) =>
      Effect.map(pluginsOf(stage), (plugins) => ({ stage, plugins: plugins.map(describe) })),
    )
    const backendList = (yield* backends()).map(({ name, summary }) => ({ name, summary }))
    if (json) {
      process.stdout.write(`${JSON.stringify({ stages: listed, backends: backendList }, null, 1)}\n`)
      return
    }
    const lines = listed.flatMap(({ stage, plugins }) => [stage, ...plugins.flatMap(linesOf), ""])
    const backendLines = backendList.map(({ name, summary }) => `  ${name}  ${summary}`)
    process.stdout.write(`${[...lines, "backend", ...backendLines].join("\n")}\n`)
  }),
).pipe(Command.withDescription("List the plugins with what they take, what they give and their options"))

const describe = (plugin: AnyPlugin) => ({
  name: plugin.name,
  version: plugin.version,
  summary: plugin.summary,
  takes: [
    ...Object.entries(plugin.takes).map(([name, take]) => {
      if ("optional" in take) return `${name}?: ${take.optional.name}`
      return "cohorts" in take ? `${name}: cohorts of ${take.cohorts.name}` : `${name}: ${take.name}`
    }),
    ...(plugin.watches === undefined ? [] : [`${plugin.watches}: a run that it watches`]),
  ],
  gives: plugin.gives.name,
  options: describeOptions(plugin.options),
})

const linesOf = ({ name, version, summary, takes, gives, options }: ReturnType<typeof describe>) => [
  `  ${name} (version ${version})  ${summary}`,
  `    takes ${takes.join(", ") || "nothing"}; gives ${gives}`,
  ...options.map((option) => {
    const fallback =
      option.fallback === undefined
        ? "required"
        : option.fallback === null
          ? "optional"
          : `default ${option.fallback}`
    return `      ${option.name}: ${option.expected} (${fallback})`
  }),
]
