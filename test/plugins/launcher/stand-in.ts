/**
 * Stands in for Slurm's programs, so that what is asked of them can be tested everywhere: it keeps every call, and its
 * sbatch runs the tasks of an array, one after the other, before it returns.
 */
import { spawnSync } from "node:child_process"
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"

/** How the programs behave, in the file `behaviour.json`. */
export interface Behaviour {
  /** Whether sbatch runs the tasks. */
  readonly runs?: boolean
  /** The MaxArraySize of the cluster. */
  readonly arraySize?: number
  /** The time limits of partitions, by name; the default's ends in `*`. */
  readonly partitions?: Readonly<Record<string, string>>
  /** sbatch refuses all after so many, and says this. */
  readonly refuses?: { readonly after: number; readonly says: string }
  /** What tasks that ask for a GPU have in their environment besides. */
  readonly gpuNode?: Readonly<Record<string, string>>
  /** sbatch says once that this is so. */
  readonly passes?: string
  /** What squeue lists: the id of a job each, which the reason may follow that it waits for. */
  readonly queued?: readonly string[]
}

interface Call {
  readonly program: string
  readonly args: readonly string[]
}

/** A task that sbatch has run. */
export interface Ran {
  readonly job: string
  readonly task: string | null
  readonly code: number | null
}

export class StandIn {
  /** To be first in PATH. */
  readonly bin: string

  constructor(private readonly folder: string) {
    this.bin = join(folder, "bin")
    mkdirSync(this.bin, { recursive: true })
    for (const program of ["sbatch", "scontrol", "sinfo", "squeue", "scancel"]) {
      const path = join(this.bin, program)
      const words = [process.execPath, import.meta.path, folder, program].map((word) => `'${word}'`)
      writeFileSync(path, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`)
      chmodSync(path, 0o755)
    }
    this.behave({})
  }

  behave(behaviour: Behaviour): void {
    writeFileSync(join(this.folder, "behaviour.json"), JSON.stringify(behaviour))
  }

  /** The arguments that another program was given, each time. */
  argumentsOf(program: string): readonly (readonly string[])[] {
    return callsOf(this.folder, program)
  }

  /** The arguments that sbatch was given, each time. */
  get submissions(): readonly (readonly string[])[] {
    return submissions(this.folder)
  }

  get ran(): readonly Ran[] {
    return linesOf<Ran>(join(this.folder, "ran"))
  }
}

const linesOf = <T>(path: string): readonly T[] =>
  existsSync(path)
    ? readFileSync(path, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
    : []

const callsOf = (folder: string, program: string): readonly (readonly string[])[] =>
  linesOf<Call>(join(folder, "calls")).flatMap((call) => (call.program === program ? [call.args] : []))

const submissions = (folder: string): readonly (readonly string[])[] =>
  callsOf(folder, "sbatch").filter(([first]) => first !== "--version")

const append = (path: string, value: unknown): void => appendFileSync(path, `${JSON.stringify(value)}\n`)

const flagOf = (args: readonly string[], name: string): string | undefined =>
  args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3)

/** As slurmd starts it: in `--chdir`, with its output appended to `--output`. */
const runTask = (
  folder: string,
  args: readonly string[],
  job: string,
  task: number | null,
  gpuNode: Behaviour["gpuNode"],
): void => {
  const output = flagOf(args, "output")!.replaceAll(/%([%a])/g, (_, letter) =>
    letter === "%" ? "%" : `${task}`,
  )
  const log = openSync(output, "a")
  const array = task === null ? {} : { SLURM_ARRAY_JOB_ID: job, SLURM_ARRAY_TASK_ID: String(task) }
  const { status } = spawnSync("/bin/sh", [args.at(-1)!], {
    cwd: flagOf(args, "chdir")!,
    env: {
      ...process.env,
      ...(flagOf(args, "gres") === undefined ? {} : gpuNode),
      SLURM_JOB_ID: job,
      ...array,
    },
    stdio: ["ignore", log, log],
  })
  append(join(folder, "ran"), { job, task: task === null ? null : String(task), code: status } satisfies Ran)
}

const sbatch = (
  folder: string,
  args: readonly string[],
  { runs, refuses, passes, gpuNode }: Behaviour,
): number => {
  const before = submissions(folder).length - 1
  if (passes !== undefined && before === 0) return fail(passes)
  const accepted = before - (passes === undefined ? 0 : 1)
  if (refuses !== undefined && accepted >= refuses.after) return fail(refuses.says)
  const job = String(101 + accepted)
  const last = /^0-(\d+)%/.exec(flagOf(args, "array") ?? "")?.[1]
  const tasks = last === undefined ? [null] : Array.from({ length: Number(last) + 1 }, (_, task) => task)
  if (runs === true) for (const task of tasks) runTask(folder, args, job, task, gpuNode)
  process.stdout.write(`${job}\n`)
  return 0
}

const fail = (says: string): number => {
  process.stderr.write(`${says}\n`)
  return 1
}

if (import.meta.main) {
  const [folder, program, ...args] = process.argv.slice(2) as [string, string, ...string[]]
  append(join(folder, "calls"), { program, args } satisfies Call)
  const behaviour: Behaviour = JSON.parse(readFileSync(join(folder, "behaviour.json"), "utf8"))
  if (program === "sbatch" && args[0] !== "--version") process.exit(sbatch(folder, args, behaviour))
  if (program === "scontrol" && args[0] === "show")
    process.stdout.write(`Configuration data\nMaxArraySize            = ${behaviour.arraySize ?? 1001}\n`)
  if (program === "sinfo")
    for (const [name, time] of Object.entries(behaviour.partitions ?? {}))
      process.stdout.write(`${name} ${time}\n`)
  if (program === "squeue") process.stdout.write((behaviour.queued ?? []).map((job) => `${job}\n`).join(""))
}
