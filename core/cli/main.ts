#!/usr/bin/env bun
/** The commands `pipeline`, `doctor`, `bench`, `plugins` and `new`. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Result } from "effect"
import { CliConfig, CliError, CliOutput, Command, GlobalFlag } from "effect/cli"
import { fileError } from "../io/files.ts"
import { version } from "../io/project.ts"
import { benchCommand, benchOutline } from "./bench.ts"
import { doctorCommand } from "./doctor.ts"
import { ExitCode } from "./exit.ts"
import { newCommand } from "./new.ts"
import { pipelineCommand } from "./pipeline.ts"
import { pipelineAskedAbout, pipelineHelp } from "./pipeline-help.ts"
import { pluginsCommand } from "./plugins.ts"
import { presenter } from "./presenter.ts"

const commands = [pipelineCommand, doctorCommand, pluginsCommand, newCommand] as const

const main = Effect.gen(function* () {
  const args = process.argv.slice(2)
  // The measurements are looked up only where one is asked for: they import what they measure.
  const bench = yield* args[0] === "bench" ? benchCommand : benchOutline
  const command = Command.make("kasosei").pipe(
    Command.withDescription(
      "Pipelines of plugins for studying the stability and the plasticity of language models",
    ),
    Command.withSubcommands([...commands, bench]),
  )
  const file = pipelineAskedAbout(args)
  const help = file === undefined ? undefined : yield* pipelineHelp(file)
  yield* Command.runWith(command, { version })(help === undefined ? args : ["pipeline", "--help"]).pipe(
    Effect.provideService(CliOutput.Presenter, presenter(help)),
    Effect.provide(
      CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] }),
    ),
  )
})

/** A person's mistake gets one message; only a defect shows its stack. */
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
  // The presenter has told what is wrong with the command line.
  if (CliError.isCliError(found)) return 2
  process.stderr.write(`${found instanceof Error ? found.message : String(found)}\n`)
  return 2
}

// A reader that goes away (`| head -1`) stops nothing: what is computed is kept. A full disk is reported.
process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
  if (cause.code === "EPIPE") return
  process.stderr.write(`${fileError("write", "standard output", cause).message}\n`)
  process.exit(1)
})
// Nobody is there any more: what runs is stopped as by a signal, and saves its state.
process.stderr.once("error", () => {
  process.stderr.on("error", () => {})
  process.kill(process.pid, "SIGTERM")
})

main.pipe(
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) ? 0 : tell(exit.cause)),
  }),
)
