/** Usage errors in one line: what was expected, what was found, what was probably meant. */
import { Option } from "effect"
import type { CliError, HelpDoc } from "effect/cli"
import { nearestName } from "../io/nearest-name.ts"
import { startOf, usageOf } from "./help.ts"

/** `a, b or c`. */
export const alternatives = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`

const orMeant = (name: string, known: readonly string[], otherwise: string): string => {
  const near = nearestName(name, known)
  return near === undefined ? otherwise : `did you mean ${near}?`
}

/** @param doc the help of the command that was given */
export const usageErrorLine = (error: CliError.NonShowHelpErrors, doc: HelpDoc.HelpDoc): string => {
  const flags = [...doc.flags, ...(doc.globalFlags ?? [])]
  const help = `${startOf(doc.commandPath ?? [])} --help`
  switch (error._tag) {
    case "UnrecognizedOption": {
      const known = flags.map(({ name }) => `--${name}`)
      return `there is no flag ${error.option}; ${orMeant(error.option, known, `${help} lists the flags`)}`
    }
    case "UnknownSubcommand": {
      const known = commandsOf(doc)
      const [parent, ...above] = [...(doc.commandPath ?? [])].reverse()
      const command = [...(above.length === 0 ? [] : [parent]), error.subcommand].join(" ")
      return `there is no command ${command}; ${orMeant(error.subcommand, known, `expected ${alternatives(known)}`)}`
    }
    case "MissingArgument": {
      const argument = doc.args?.find(({ name }) => name === error.argument)
      const about = Option.getOrElse(argument?.description ?? Option.none(), () => "")
      const inside = `${about.charAt(0).toLowerCase()}${about.slice(1)}`
      return `<${error.argument}> is missing: ${inside}; usage: ${usageOf(doc)}`
    }
    case "UnexpectedArgument":
      return `unexpected ${error.arguments.map((value) => JSON.stringify(value)).join(", ")}; usage: ${usageOf(doc)}`
    case "InvalidValue":
      return invalidValueLine(error, flags)
    default:
      return error.message
  }
}

/** The line for a command that was given without a subcommand. */
export const missingCommandLine = (doc: HelpDoc.HelpDoc): string => {
  const start = startOf(doc.commandPath ?? [])
  return `${start}: expected ${alternatives(commandsOf(doc))}; ${start} --help describes them`
}

const commandsOf = ({ subcommands = [] }: HelpDoc.HelpDoc): readonly string[] =>
  subcommands.flatMap(({ commands }) => commands.map(({ name }) => name))

const invalidValueLine = (
  { option, value, expected, kind }: CliError.InvalidValue,
  flags: readonly HelpDoc.FlagDoc[],
): string => {
  const name = kind === "flag" ? `--${option}` : `<${option}>`
  const type = kind === "flag" ? flags.find((flag) => flag.name === option)?.type : undefined
  if (type !== undefined && value === "") return `${name} needs a value: ${name} ${type}`
  const times = /^(\d+) occurrences$/.exec(value)?.[1]
  if (times !== undefined) return `expected ${name} once, found it ${times} times`
  if (type === "boolean") return `${name} takes no value (was ${JSON.stringify(value)})`
  const choices = expected.split(" | ").map((choice) => choice.replaceAll('"', ""))
  const near = nearestName(value, choices)
  return `${name} must be ${alternatives(choices)} (was ${JSON.stringify(value)})${near === undefined ? "" : `; did you mean ${near}?`}`
}
