#!/usr/bin/env bun
/** The commands `pipeline`, `doctor`, `bench`, `plugins` and `new`. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Result } from "effect"
import { CliError, Command } from "effect/cli"
import { version } from "../project.ts"
import { benchCommand, benchOutline } from "./bench.ts"
import { doctorCommand } from "./doctor.ts"
import { ExitCode } from "./exit.ts"
import { newCommand } from "./new.ts"
import { pipelineCommand } from "./pipeline.ts"
import { pluginsCommand } from "./plugins.ts"

const commands = [pipelineCommand, doctorCommand, pluginsCommand, newCommand] as const

/** The measurements are looked up only where one is asked for: they import what they measure. */
const main = Effect.map(process.argv[2] === "bench" ? benchCommand : benchOutline, (bench) =>
  Command.make("kasosei").pipe(
    Command.withDescription(
      "Pipelines of plugins for studying the stability and the plasticity of language models",
    ),
    Command.withSubcommands([...commands, bench]),
  ),
)

/** A person's mistake is told in one message; only a defect shows its stack. */
const tell = (cause: Cause.Cause<unknown>): number => {
  if (Cause.hasInterruptsOnly(cause)) return 130
  const error = Cause.findError(cause)
  if (Result.isFailure(error)) {
    process.stderr.write(`${Cause.pretty(cause)}\n`)
    return 70
  }
  const found = error.success
  if (found instanceof ExitCode) {
    if (found.message !== "") process.stderr.write(`${found.message}\n`)
    return found.code
  }
  // The command line's own errors were shown with the help.
  if (CliError.isCliError(found)) return 2
  process.stderr.write(`${found instanceof Error ? found.message : String(found)}\n`)
  return 2
}

main.pipe(
  Effect.flatMap((command) => Command.run(command, { version })),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) ? 0 : tell(exit.cause)),
  }),
)
