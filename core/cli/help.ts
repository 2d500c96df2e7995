/** Help texts, as wide as the terminal. */
import { Option } from "effect"
import type { HelpDoc } from "effect/cli"
import type { DocumentedOption } from "../engine/doc-comments.ts"
import { fallbackText } from "../io/options.ts"
import { wrapped } from "./text-width.ts"

/** A pipeline whose parameters its help lists. */
export interface PipelineHelp {
  /** As it was given on the command line. */
  readonly file: string
  readonly name: string
  readonly summary: string
  /** In the order of the file, each with its comment there. */
  readonly parameters: readonly DocumentedOption[]
}

/** How a command is started: `bun run pipeline`. */
export const startOf = (commandPath: readonly string[]): string =>
  commandPath.length < 2 ? (commandPath[0] ?? "") : ["bun run", ...commandPath.slice(1)].join(" ")

/** The usage of a command in one line: `bun run new <stage> <name>`. */
export const usageOf = ({ usage, commandPath = [], flags }: HelpDoc.HelpDoc): string => {
  const rest = usage.slice(commandPath.join(" ").length).replace("<subcommand>", "<command>")
  return `${startOf(commandPath)}${flags.length === 0 ? rest.replace(" [flags]", "") : rest}`
}

/**
 * The help of a command.
 *
 * @param pipelines the names that it can be given for a pipeline file, if it takes one
 */
export const helpText = (
  doc: HelpDoc.HelpDoc,
  columns: number,
  pipelines: readonly string[] = [],
): string => {
  const { description, args = [], flags, globalFlags = [], subcommands = [], examples = [] } = doc
  const isRoot = doc.commandPath?.length === 1
  return pageOf(columns, [
    ["DESCRIPTION", description],
    ["USAGE", usageOf(doc)],
    ["ARGUMENTS", args.map((argument) => [argument.name, [describedBy(argument)]])],
    ["PIPELINES", pipelines.join(", ")],
    ["FLAGS", [...flags, ...globalFlags.filter(({ name }) => isRoot || name === "help")].map(flagRow)],
    [
      "COMMANDS",
      subcommands.flatMap(({ commands }) => commands.map(({ name, description }) => [name, [description]])),
    ],
    ["EXAMPLES", examples.map(({ command, description = "" }) => [command, [description]])],
  ])
}

/** The help of a pipeline; `doc` is that of the command that runs it. */
export const pipelineHelpText = (doc: HelpDoc.HelpDoc, columns: number, pipeline: PipelineHelp): string => {
  const flags = doc.flags.filter(({ name }) => name !== "set").map((flag) => flagRow(flag)[0])
  const start = startOf(doc.commandPath ?? [])
  return pageOf(columns, [
    ["DESCRIPTION", `${pipeline.name}: ${pipeline.summary}`],
    ["USAGE", `${start} ${pipeline.file} [--set name=value ...] [flags]`],
    ["PARAMETERS", pipeline.parameters.map(parameterRow)],
    ["FLAGS", `${flags.join(", ")}; ${start} --help describes them`],
  ])
}

const describedBy = ({ description }: { readonly description: Option.Option<string> }): string =>
  Option.getOrElse(description, () => "")

const flagRow = (flag: HelpDoc.FlagDoc): Row => {
  const names = [`--${flag.name}`, ...flag.aliases].join(", ")
  // The flag's type lists the choices.
  const text = describedBy(flag).replace(/ \(choices: .*\)$/, "")
  return [flag.type === "boolean" ? names : `${names} ${flag.type}`, [text]]
}

/** A term, and paragraphs about it. */
type Row = readonly [term: string, paragraphs: readonly string[]]
type Section = readonly [title: string, content: string | readonly Row[]]

/** The sections that have something in them. */
const pageOf = (columns: number, sections: readonly Section[]): string =>
  sections
    .filter(([, content]) => content.length > 0)
    .map(([title, content]) => {
      const lines =
        typeof content === "string"
          ? wrapped(content, columns - 2).map((line) => `  ${line}`)
          : rowLines(content, columns)
      return [title, ...lines].join("\n")
    })
    .join("\n\n")

const parameterRow = (parameter: DocumentedOption): Row => [
  parameter.name,
  [`${parameter.expected} (${fallbackText(parameter)})`, parameter.comment],
]

/** The widest column of terms; longer terms have a line of their own. */
const widestTerm = 22
/** Texts narrower than this are set below their terms. */
const narrowestText = 40

const rowLines = (rows: readonly Row[], columns: number): readonly string[] => {
  const terms = rows.map(([term]) => term.length).filter((length) => length <= widestTerm)
  const column = Math.max(0, ...terms) + 4
  const indent = columns - column < narrowestText ? 6 : column
  return rows.flatMap(([term, paragraphs]) => {
    const lines = paragraphs
      .filter((paragraph) => paragraph !== "")
      .flatMap((paragraph) => wrapped(paragraph, columns - indent))
    const beside = indent === column && term.length <= column - 4 && lines.length > 0
    const heads = beside
      ? [`  ${term.padEnd(column - 2)}${lines[0]}`]
      : wrapped(term, columns - 2).map((line, i) => `${i === 0 ? "  " : "    "}${line}`)
    return [...heads, ...lines.slice(beside ? 1 : 0).map((line) => `${" ".repeat(indent)}${line}`)]
  })
}
