/** Runs the commands `pipeline`, `status`, `store`, `doctor`, `bench`, `plugins` and `new` from a command line. */
import { Effect } from "effect"
import { CliConfig, CliOutput, Command, GlobalFlag } from "effect/cli"
import { version } from "../io/project.ts"
import { benchCommand, benchOutline } from "./bench.ts"
import { completionsFlag } from "./completions.ts"
import { doctorCommand } from "./doctor.ts"
import { newCommand } from "./new.ts"
import { pipelineCommand } from "./pipeline.ts"
import { pipelineAskedAbout, pipelineHelp } from "./pipeline-help.ts"
import { pluginsCommand } from "./plugins.ts"
import { type Output, presenter } from "./presenter.ts"
import { statusCommand } from "./status.ts"
import { storeCommand } from "./store.ts"
import { workCommand } from "./work.ts"

const commands = [
  pipelineCommand,
  doctorCommand,
  pluginsCommand,
  statusCommand,
  storeCommand,
  newCommand,
] as const

/**
 * Runs a command line.
 *
 * @param args the arguments after the name of the program
 * @param output receives help and usage errors
 */
export const runCommandLine = Effect.fn("runCommandLine")(function* (
  args: readonly string[],
  output: Output,
) {
  // Benches are loaded only for the command `bench`: they import what they measure.
  const bench = yield* args[0] === "bench" ? benchCommand : benchOutline
  const command = Command.make("kasosei").pipe(
    Command.withDescription(
      "Pipelines of plugins for studying the stability and plasticity of language models",
    ),
    // Launchers start tasks; people do not.
    Command.withSubcommands([...commands, bench, ...(args[0] === "work" ? [workCommand] : [])]),
  )
  const file = pipelineAskedAbout(args)
  const help = file === undefined ? undefined : yield* pipelineHelp(file)
  yield* Command.runWith(command, { version })(help === undefined ? args : ["pipeline", "--help"]).pipe(
    Effect.provideService(CliOutput.Presenter, presenter(output, help)),
    Effect.provide(CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, completionsFlag] })),
  )
})
