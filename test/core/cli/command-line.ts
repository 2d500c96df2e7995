/** Runs the command line in its own process, as a person does. */
import { spawn, spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { sampleFile } from "../sample/study.ts"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly pid: number
  readonly signal: (name: NodeJS.Signals) => void
  /** Waits until it has written this to standard error. */
  readonly said: (text: string) => Promise<void>
  /** Stops reading its standard error, as if its terminal had been closed. */
  readonly leave: () => void
  /** What it has written to standard error so far. */
  readonly shown: () => string
  readonly ended: Promise<Ended>
}

const project = join(import.meta.dir, "..", "..", "..")

/** The program's entry point. */
export const main = join(project, "core", "cli", "main.ts")

export interface Around {
  /** A program that runs the command given after these arguments of its own, such as unshare. */
  readonly wrapper?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** Starts a command of the project in `folder`, by default this one. */
export const start = (args: readonly string[], folder = project, around: Around = {}): Running => {
  const [program, ...before] = [...(around.wrapper ?? []), process.execPath]
  const child = spawn(program!, [...before, join(folder, "core", "cli", "main.ts"), ...args], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...around.env },
  })
  let stdout = ""
  let stderr = ""
  let onSaid = () => {}
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
    onSaid()
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code) => {
      resolve({ code, stdout, stderr })
      onSaid()
    })
  })
  const said = (text: string) =>
    new Promise<void>((resolve, reject) => {
      onSaid = () => {
        if (stderr.includes(text)) resolve()
        else if (child.exitCode !== null) reject(new Error(`it ended without writing ${text}:\n${stderr}`))
      }
      onSaid()
    })
  return {
    pid: child.pid!,
    signal: (name) => child.kill(name),
    said,
    leave: () => child.stderr.destroy(),
    shown: () => stderr,
    ended,
  }
}

export const command = (args: readonly string[], folder?: string): Promise<Ended> => start(args, folder).ended

/**
 * The command line that runs the sample pipeline, on a backend that works everywhere: the warnings of `auto` about
 * others are not what is tested.
 */
export const sample = (out: string, settings: readonly string[] = [], flags: readonly string[] = []) => [
  "pipeline",
  sampleFile,
  "--out",
  out,
  ...(flags.includes("--backend") ? [] : ["--backend", "wasm"]),
  ...flags,
  ...settings.flatMap((setting) => ["--set", setting]),
]

/** The digests of all artifacts in a store, by the name of their folder. */
export const digests = (out: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(join(out, "artifacts")).map((name) => {
      const manifest = readFileSync(join(out, "artifacts", name, "manifest.json"), "utf8")
      return [name, JSON.parse(manifest).digest]
    }),
  )

/** The child processes of a process that have not ended. */
export const childrenOf = (pid: number): readonly number[] =>
  processes().flatMap((process) => (process.parent === pid && process.runs ? [process.pid] : []))

/** Those of `pids` that have not ended. */
export const alive = (pids: readonly number[]): readonly number[] =>
  processes().flatMap(({ pid, runs }) => (runs && pids.includes(pid) ? [pid] : []))

/** Waits until none of them runs any more. */
export const untilEnded = async (pids: readonly number[]): Promise<void> => {
  while (alive(pids).length > 0) await Bun.sleep(50)
}

const processes = () =>
  spawnSync("ps", ["-A", "-o", "pid=,ppid=,stat="], { encoding: "utf8" })
    .stdout.trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .map(([pid, parent, state]) => ({
      pid: Number(pid),
      parent: Number(parent),
      // A process that has ended is listed until its parent collects its exit code.
      runs: !state!.startsWith("Z"),
    }))
