#!/usr/bin/env bun
/** The program: runs its command line and reports how that ended. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Result } from "effect"
import { CliError } from "effect/cli"
import { fileError } from "../io/files.ts"
import { printable } from "../io/format.ts"
import { runCommandLine } from "./command-line.ts"
import { ExitCode } from "./exit.ts"

/** Reports why a command ended and returns its exit code: one message for an error, a stack trace only for a bug. */
const report = (cause: Cause.Cause<unknown>): number => {
  if (Cause.hasInterruptsOnly(cause)) return 130
  const error = Cause.findError(cause)
  if (Result.isFailure(error)) {
    process.stderr.write(`${printable(Cause.pretty(cause), "\n")}\n`)
    return 70
  }
  const found = error.success
  if (found instanceof ExitCode) {
    if (found.message !== "") process.stderr.write(`${printable(found.message, "\n")}\n`)
    return found.code
  }
  // The presenter has reported the usage error.
  if (CliError.isCliError(found)) return 2
  process.stderr.write(`${printable(found instanceof Error ? found.message : String(found), "\n")}\n`)
  return 2
}

// A reader that closes the pipe (`| head -1`) does not stop the work, whose results are kept. A full disk is an error.
process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
  if (cause.code === "EPIPE") return
  process.stderr.write(`${fileError("write", "standard output", cause).message}\n`)
  process.exit(1)
})
// The terminal is gone: stop as on SIGTERM, so that running jobs save their state.
const stop = () => process.kill(process.pid, "SIGTERM")
process.once("SIGHUP", stop)
process.stderr.once("error", () => {
  process.stderr.on("error", () => {})
  stop()
})

runCommandLine(process.argv.slice(2), process).pipe(
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) ? 0 : report(exit.cause)),
  }),
)
