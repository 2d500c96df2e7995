/** The command line in a process of its own, as a person starts it. */
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  /** What it has written to standard error so far. */
  readonly stderr: () => string
  readonly ended: Promise<Ended>
}

const project = join(import.meta.dir, "..", "..", "..")

/** Starts a command of the project in `folder`, by default this one. */
export const start = (args: readonly string[], folder = project): Running => {
  const child = spawn(process.execPath, [join(folder, "core", "cli", "main.ts"), ...args], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, stdout, stderr }))
  })
  return { child, stderr: () => stderr, ended }
}

export const command = (args: readonly string[], folder?: string): Promise<Ended> => start(args, folder).ended
