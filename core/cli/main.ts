#!/usr/bin/env bun
/** The program: runs its command line, and tells how that ended. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Result } from "effect"
import { CliError } from "effect/cli"
import { fileError } from "../io/files.ts"
import { runCommandLine } from "./command-line.ts"
import { ExitCode } from "./exit.ts"

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

runCommandLine(process.argv.slice(2), process).pipe(
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) ? 0 : tell(exit.cause)),
  }),
)
