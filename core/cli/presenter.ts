/** Displays help and usage errors, in place of Effect's own presenter. */
import { Effect } from "effect"
import type { CliOutput } from "effect/cli"
import { pipelineNames } from "../engine/load.ts"
import { printable } from "../io/format.ts"
import { helpText, type PipelineHelp, pipelineHelpText } from "./help.ts"
import { alternatives, missingCommandLine, usageErrorLine } from "./usage-error.ts"

/** The width of help if that of the terminal is unknown, and the largest width, in columns. */
const defaultColumns = 80
const mostColumns = 100

/** Standard output and standard error, of this process or of a test. */
export interface Output {
  readonly stdout: { readonly columns?: number; readonly write: (text: string) => unknown }
  readonly stderr: { readonly write: (text: string) => unknown }
}

/** @param pipeline whose parameters the help lists */
export const presenter = ({ stdout, stderr }: Output, pipeline?: PipelineHelp): CliOutput.Presenter => ({
  present: Effect.fnUntraced(function* (event) {
    switch (event._tag) {
      case "Version":
        stdout.write(`${event.name} ${event.version}\n`)
        return
      case "Help": {
        if (event.reason === "Implicit") stderr.write(`${missingCommandLine(event.helpDoc)}\n`)
        else {
          const columns = Math.min(stdout.columns || defaultColumns, mostColumns)
          const isAboutPipelines = event.helpDoc.commandPath?.[1] === "pipeline"
          const names = isAboutPipelines && pipeline === undefined ? yield* pipelineNames : []
          const text =
            pipeline === undefined
              ? helpText(event.helpDoc, columns, names)
              : pipelineHelpText(event.helpDoc, columns, pipeline)
          stdout.write(`${printable(text, "\n")}\n`)
        }
        return
      }
      case "InvalidInvocation": {
        const lines = yield* Effect.forEach(event.errors, (error) =>
          error._tag === "MissingArgument" && error.argument === "file"
            ? Effect.map(
                pipelineNames,
                (names) => `expected a pipeline file: ${alternatives([...names, "a path"])}`,
              )
            : Effect.succeed(usageErrorLine(error, event.helpDoc)),
        )
        stderr.write(`${lines.map((line) => printable(line)).join("\n")}\n`)
      }
    }
  }),
})
