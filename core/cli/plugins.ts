/** `bun run plugins [NAME]`: lists what the files in the `plugins` folders declare, with options. */
import { extname, join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { Bench } from "../api/bench.ts"
import type { Check } from "../api/check.ts"
import type { Launcher } from "../api/launcher.ts"
import type { AnyPlugin } from "../api/plugin.ts"
import { stages } from "../api/stage.ts"
import { backends, benches, checks, launchers, plugins } from "../engine/discover.ts"
import { type DocumentedOption, documentedOptions } from "../engine/doc-comments.ts"

import { unknownName } from "../io/nearest-name.ts"
import { fallbackText } from "../io/options.ts"
import { findProject, packageFolder, packageName } from "../io/project.ts"
import type { Backend } from "../tensor/backend.ts"
import { exitWith } from "./exit.ts"
import { wrapped } from "./text-width.ts"

export const pluginsCommand = Command.make(
  "plugins",
  {
    name: Argument.String("name").pipe(
      Argument.withDescription("List only what has this name, such as fisher"),
      Argument.optional,
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print the list as JSON on standard output"),
      Flag.withDefault(false),
    ),
  },
  Effect.fn("plugins")(function* ({ name, json }) {
    const all = {
      plugins: yield* plugins(),
      backends: yield* backends(),
      checks: yield* checks(),
      benches: yield* benches(),
      launchers: yield* launchers(),
    }
    const known = [...new Set(Object.values(all).flatMap((some) => some.map(({ name }) => name)))]
    if (Option.isSome(name) && !known.includes(name.value)) {
      return yield* exitWith(2, unknownName("plugin", name.value, known))
    }
    const wanted = <T extends { readonly name: string }>(some: readonly T[]): readonly T[] =>
      some.filter((one) => Option.isNone(name) || one.name === name.value)
    const list = listOf({
      plugins: yield* Effect.forEach(wanted(all.plugins), describe),
      backends: wanted(all.backends),
      checks: wanted(all.checks),
      benches: wanted(all.benches),
      launchers: yield* Effect.forEach(wanted(all.launchers), describeLauncher),
    })
    const text = json
      ? JSON.stringify(list, null, 1)
      : pluginLines(list, process.stdout.columns ?? 80).join("\n")
    process.stdout.write(`${text}\n`)
  }),
).pipe(
  Command.withDescription("List plugins, backends, launchers, checks and benches with their options"),
  Command.withExamples([
    { command: "bun run plugins", description: "All of them" },
    { command: "bun run plugins fisher", description: "The probe and the bench of this name" },
  ]),
)

interface Found {
  readonly plugins: readonly PluginDescription[]
  readonly backends: readonly Backend[]
  readonly checks: readonly Check[]
  readonly benches: readonly Bench[]
  readonly launchers: readonly LauncherDescription[]
}

/** What `--json` prints. */
const listOf = ({ plugins, backends, checks, benches, launchers }: Found) => ({
  stages: stages.map((stage) => ({
    stage,
    plugins: plugins.flatMap(({ stage: ofPlugin, ...plugin }) => (ofPlugin === stage ? [plugin] : [])),
  })),
  backends: backends.map(({ name, summary, precisions }) => ({ name, summary, precisions })),
  launchers,
  checks: checks.map(({ name, summary }) => ({ name, summary })),
  benches: benches.map(({ name, summary, flags }) => ({ name, summary, flags })),
})

type List = ReturnType<typeof listOf>

/** Describes a plugin; its options have the comments and the order of its source. */
const describe = Effect.fnUntraced(function* (plugin: AnyPlugin) {
  const path = fileURLToPath(plugin.module)
  return {
    stage: plugin.stage,
    name: plugin.name,
    ...originOf(path),
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
    ...(plugin.watchable && { watchable: true }),
    options: yield* Effect.promise(() => documentedOptions(plugin.options, path, plugin.name, "options")),
  }
})

/**
 * For those who work on a project of their own: whether a plugin is the project's, and where it is or, if it is not,
 * what to import it from. In a checkout of this package all are alike.
 */
const originOf = (path: string): { readonly own?: boolean; readonly from?: string } => {
  const project = findProject()
  if (project === undefined) return {}
  const inside = (folder: string) => relative(folder, path).split(sep).join("/")
  const own = !relative(join(project, "plugins"), path).startsWith("..")
  if (own) return { own, from: inside(project) }
  return { own, from: `${packageName}/${inside(packageFolder).slice(0, -extname(path).length)}` }
}

type PluginDescription = Effect.Success<ReturnType<typeof describe>>

/** Describes a launcher likewise. */
const describeLauncher = Effect.fnUntraced(function* ({ name, module, summary, options }: Launcher) {
  const path = fileURLToPath(module)
  return {
    name,
    summary,
    options: yield* Effect.promise(() => documentedOptions(options, path, name, "options")),
  }
})

type LauncherDescription = Effect.Success<ReturnType<typeof describeLauncher>>

/** The list for people: a section for each stage and kind that has something, in lines of at most `width` columns. */
export const pluginLines = (list: List, width: number): readonly string[] => {
  const sections: readonly (readonly [heading: string, lines: readonly string[]])[] = [
    ...list.stages.map(
      ({ stage, plugins }) => [stage, spaced(plugins.map((plugin) => linesOf(plugin, width - 2)))] as const,
    ),
    [
      "backend",
      table(
        list.backends.map(({ name, summary, precisions }) => [name, `${summary}; ${precisions.join(", ")}`]),
        width - 2,
      ),
    ],
    [
      "launcher",
      spaced(
        list.launchers.map(({ name, summary, options }) =>
          entry(name, summary, [["options", options.map(optionRow)]], width - 2),
        ),
      ),
    ],
    [
      "check",
      table(
        list.checks.map(({ name, summary }) => [name, summary]),
        width - 2,
      ),
    ],
    [
      "bench",
      spaced(
        list.benches.map(({ name, summary, flags }) =>
          entry(name, summary, [["options", flagRows(flags)]], width - 2),
        ),
      ),
    ],
  ]
  const present = sections.filter(([, lines]) => lines.length > 0)
  return spaced(present.map(([heading, lines]) => [heading, "", ...indented(lines)]))
}

const linesOf = (
  { name, version, own, from, summary, takes, gives, watchable, options }: Omit<PluginDescription, "stage">,
  width: number,
): readonly string[] =>
  entry(
    `${name} (version ${version}${own === true ? ", of this project" : ""})`,
    summary,
    [
      ["from", from ?? ""],
      ["takes", takes.join(", ") || "nothing"],
      ["gives", watchable ? `${gives}, which probes can watch` : gives],
      ["options", options.map(optionRow)],
    ],
    width,
  )

const optionRow = (option: DocumentedOption): Row => [
  option.name,
  [`${option.expected}; ${fallbackText(option)}`, option.comment],
]

const flagRows = (flags: Readonly<Record<string, string>>): readonly Row[] =>
  Object.entries(flags).map(([name, description]) => [`--${name}`, description])

/** A name, and what there is to say of it: paragraphs, or rows of a table of its own. */
type Row = readonly [name: string, about: string | readonly string[] | readonly Row[]]

const isTable = (about: readonly string[] | readonly Row[]): about is readonly Row[] =>
  about.some((part) => typeof part !== "string")

/** A title, a summary under it, and a table of the rest without its empty rows. */
const entry = (title: string, summary: string, rows: readonly Row[], width: number): readonly string[] => [
  title,
  ...indented([
    ...wrapped(summary, width - 2),
    ...table(
      rows.filter(([, about]) => about.length > 0),
      width - 2,
    ),
  ]),
]

/** Names in a column, and beside them what there is to say of each, in lines of at most `width` columns. */
const table = (rows: readonly Row[], width: number): readonly string[] => {
  const column = Math.max(...rows.map(([name]) => name.length)) + 2
  return rows.flatMap(([name, about]) => {
    const parts = typeof about === "string" ? [about] : about
    const lines = isTable(parts)
      ? table(parts, width - column)
      : parts.filter((part) => part !== "").flatMap((part) => wrapped(part, width - column))
    return lines.map((line, i) => (i === 0 ? name : "").padEnd(column) + line)
  })
}

const indented = (lines: readonly string[]): readonly string[] =>
  lines.map((line) => (line === "" ? "" : `  ${line}`))

/** Paragraphs with an empty line between them. */
const spaced = (paragraphs: readonly (readonly string[])[]): readonly string[] =>
  paragraphs.flatMap((lines, i) => (i === 0 ? lines : ["", ...lines]))
