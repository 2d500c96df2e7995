#!/usr/bin/env bun
/** The program: runs its command line and reports how that ended. */
import { constants } from "node:os"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Result } from "effect"
import { CliError } from "effect/cli"
import { ignoresSignal } from "../engine/workers/vitals.ts"
import { fileError } from "../io/files.ts"
import { runCommandLine } from "./command-line.ts"
import { ExitCode } from "./exit.ts"
import { guardTerminal } from "./terminal.ts"

guardTerminal()

/** Reports why a command ended and returns its exit code: one message for an error, a stack trace only for a bug. */
const report = (cause: Cause.Cause<unknown>): number => {
  if (Cause.hasInterruptsOnly(cause)) return 128 + constants.signals[stoppedBy ?? "SIGINT"]
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
  // The presenter has reported the usage error.
  if (CliError.isCliError(found)) return 2
  process.stderr.write(`${found instanceof Error ? found.message : String(found)}\n`)
  return 2
}

// A reader that closes the pipe (`| head -1`) does not stop the work, whose results are kept. A full disk is an error.
process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
  if (cause.code === "EPIPE") return
  process.stderr.write(`${fileError("write", "standard output", cause).message}\n`)
  process.exit(1)
})
/** The first signal that has asked the command to stop. */
let stoppedBy: "SIGINT" | "SIGTERM" | "SIGHUP" | undefined
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.prependListener(signal, () => {
    stoppedBy ??= signal
  })
}
// The terminal is gone: stop as on SIGTERM, so that running jobs save their state. A terminal that is closed sends
// SIGHUP, its shell does so again, and writing to it fails from then on.
const hangUp = () => {
  if (stoppedBy !== undefined) return
  stoppedBy = "SIGHUP"
  process.kill(process.pid, "SIGTERM")
}
// Under nohup it goes on instead, whoever reads what it writes.
const goesOn = ignoresSignal(constants.signals.SIGHUP)
if (!goesOn) process.on("SIGHUP", hangUp)
process.stderr.on("error", goesOn ? () => {} : hangUp)

runCommandLine(process.argv.slice(2), process).pipe(
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) ? 0 : report(exit.cause)),
  }),
)
