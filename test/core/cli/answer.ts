/** Runs command lines in this process, for their answers to requests for help and to wrong input. */
import { expect } from "bun:test"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Result } from "effect"
import { runCommandLine } from "../../../core/cli/command-line.ts"

/** The answer to a command line that runs nothing, given as text or as its arguments. */
export const answer = async (line: string | readonly string[], columns?: number) => {
  let stdout = ""
  let stderr = ""
  const output = {
    stdout: {
      ...(columns === undefined ? {} : { columns }),
      write: (text: string) => {
        stdout += text
      },
    },
    stderr: {
      write: (text: string) => {
        stderr += text
      },
    },
  }
  const args = typeof line === "string" ? line.split(" ").filter((arg) => arg !== "") : line
  const ended = await Effect.runPromise(
    Effect.result(runCommandLine(args, output)).pipe(Effect.provide(NodeServices.layer)),
  )
  return { stdout, stderr, failure: Result.isFailure(ended) ? ended.failure : undefined }
}

/** The help that a command line requests. */
export const help = async (line: string, columns?: number) => {
  const { stdout, stderr, failure } = await answer(line, columns)
  expect([stderr, failure]).toEqual(["", undefined])
  return stdout
}

/** The length of the longest line. */
export const widest = (text: string) => Math.max(...text.split("\n").map((line) => line.length))
