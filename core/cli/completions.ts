/** `kasosei --completions SHELL`: prints a completion script, with the names of the pipelines that are there now. */
import { Effect, Option } from "effect"
import { Completions, GlobalFlag } from "effect/cli"
import { pipelineNames } from "../engine/load.ts"

/** Effect's own flag completes what a command declares, and a pipeline is declared as text: any path will do. */
export const completionsFlag = GlobalFlag.Action({
  flag: GlobalFlag.Completions.flag,
  run: Effect.fnUntraced(function* (shell, { command }) {
    if (Option.isNone(shell)) return
    const descriptor = withPipelines(Completions.fromCommand(command), yield* pipelineNames)
    process.stdout.write(`${Completions.generate(command.name, shell.value, descriptor)}\n`)
  }),
})

const withPipelines = (
  descriptor: Completions.CommandDescriptor,
  names: readonly string[],
): Completions.CommandDescriptor => ({
  ...descriptor,
  subcommands: descriptor.subcommands.map((command) =>
    command.name === "pipeline"
      ? {
          ...command,
          arguments: command.arguments.map((argument) => ({
            ...argument,
            type: { _tag: "Choice", values: names },
          })),
        }
      : command,
  ),
})
