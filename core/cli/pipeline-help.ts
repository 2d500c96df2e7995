/** `bun run pipeline FILE --help`: describes a pipeline and its parameters. */
import { Effect } from "effect"
import { documentedOptions } from "../engine/doc-comments.ts"
import { findPipeline, loadPipeline } from "../engine/load.ts"
import type { PipelineHelp } from "./help.ts"

/** Flags without a value; what follows any other flag is its value. */
const switches = ["--plan", "--json", "--wait", "--help", "-h"]

/** The pipeline file whose help a command line requests. */
export const pipelineAskedAbout = (args: readonly string[]): string | undefined => {
  if (args[0] !== "pipeline" || !args.some((arg) => arg === "--help" || arg === "-h")) return undefined
  return args.find((arg, i) => {
    const before = args[i - 1]
    const isValue = before?.startsWith("-") && !before.includes("=") && !switches.includes(before)
    return i > 0 && !arg.startsWith("-") && !isValue
  })
}

/** The content of the help of a pipeline file. */
export const pipelineHelp = Effect.fn("pipelineHelp")(function* (file: string) {
  const path = yield* findPipeline(file)
  const { name, summary, parameters } = yield* loadPipeline(path)
  const documented = yield* Effect.promise(() => documentedOptions(parameters, path, name, "parameters"))
  return { file, name, summary, parameters: documented } satisfies PipelineHelp
})
