/** Writes the batch scripts of a plan and submits them, each level after the one before, whatever became of that. */
import { join } from "node:path"
import { Effect } from "effect"
import { LauncherUnavailable, type Submission, type Submitted } from "../../../core/api/launcher.ts"
import { type FileError, writeFile } from "../../../core/io/files.ts"
import { plural } from "../../../core/io/format.ts"
import { arraysOf, type Demand, smallDemand } from "./arrays.ts"
import { cancel, cancelLine, largestArray, longestTime, submit } from "./programs.ts"
import { type Record, writeRecord } from "./record.ts"
import { scriptOf, taskArguments } from "./script.ts"
import { secondsOf } from "./time.ts"

/** The options of the launcher, checked. */
export interface SlurmOptions {
  readonly partition?: string
  readonly account?: string
  readonly qos?: string
  readonly gres?: string
  readonly time?: string
  readonly memory?: string
  readonly arraySize?: number
}

/** Where scripts and the output of tasks are, in the folder of the launch. */
const subfolder = "slurm"

/**
 * Submits all arrays and the job that publishes; if one is refused, takes back the others.
 *
 * @throws LauncherUnavailable with what sbatch said
 */
export const submitArrays = Effect.fn("submitArrays")(function* (
  options: SlurmOptions,
  submission: Submission,
): Effect.fn.Return<Submitted, FileError | LauncherUnavailable> {
  const { folder, launch, name, onLog } = submission
  if (/[\\\n]/.test(folder)) {
    return yield* new LauncherUnavailable({
      launcher: "slurm",
      reason: `Slurm writes no output into a folder with a backslash or a line break in its path: ${folder}`,
      remedy: "choose another --out",
    })
  }
  const { gres, memory, time, arraySize } = options
  const most = yield* largestArray
  const longest = yield* longestTime(options.partition)
  const arrays = arraysOf(submission, {
    ...(gres === undefined ? {} : { gres }),
    ...(memory === undefined ? {} : { memory }),
    ...(time === undefined ? {} : { seconds: secondsOf(time)! }),
    ...(longest === undefined ? {} : { longest }),
    size: Math.min(arraySize ?? most, most),
  })
  const publishing = {
    ...smallDemand,
    seconds: Math.min(longest ?? smallDemand.seconds, smallDemand.seconds),
  }
  const record: Record = { arrays: [] }
  const idsOf = (level: number | null) =>
    record.arrays.flatMap((each) => (each.level === level ? [each.id] : []))

  const submitJob = Effect.fnUntraced(function* (
    file: string,
    script: string,
    {
      level,
      first,
      tasks,
    }: { readonly level: number | null; readonly first: number; readonly tasks: number },
    demand: Demand,
    more: readonly string[],
  ) {
    const path = join(folder, subfolder, `${file}.sh`)
    yield* writeFile(path, script)
    const args = [
      `--job-name=${name} ${file}`,
      // Slurm replaces what follows a %.
      `--output=${join(folder, subfolder, file).replaceAll("%", "%%")}${level === null ? "" : "-%a"}.log`,
      "--open-mode=append",
      "--export=ALL",
      `--chdir=${submission.cwd}`,
      "--requeue",
      ...demandArguments(demand),
      ...named(options),
      ...more,
      path,
    ]
    const id = yield* submit(args, onLog)
    record.arrays.push({ id, level, first, tasks, arguments: args })
    yield* writeRecord(folder, record)
  })
  const after = (ids: readonly string[]) =>
    ids.length === 0 ? [] : [`--dependency=afterany:${ids.join(":")}`]

  yield* Effect.gen(function* () {
    for (const array of arrays) {
      const { level, first, tasks, limit, after: before, demand } = array
      const file = `${level}-${first}`
      const about = `launch ${launch}, level ${level}: ${plural(tasks, "task")} from ${first} on`
      const script = scriptOf(submission, about, submission.work, taskArguments(level, first, demand.cpus))
      const more = [
        `--array=0-${tasks - 1}%${limit}`,
        ...after([...idsOf(level - 1), ...(before === undefined ? [] : [record.arrays[before]!.id])]),
      ]
      yield* submitJob(file, script, array, demand, more)
    }
    const script = scriptOf(submission, `launch ${launch}: its report`, submission.publish)
    const last = after(idsOf(submission.levels.length - 1))
    yield* submitJob("publish", script, { level: null, first: 0, tasks: 1 }, publishing, last)
  }).pipe(
    Effect.onError(() => cancel(record.arrays.map(({ id }) => id))),
    Effect.catchTag("ProgramFailed", ({ message }) =>
      Effect.fail(
        new LauncherUnavailable({
          launcher: "slurm",
          reason: message,
          remedy:
            "nothing of this launch is left in the queue; `bun run plugins slurm` lists what can be set",
        }),
      ),
    ),
  )
  const jobs = record.arrays.map(({ id }) => id)
  return { jobs, cancel: cancelLine(jobs) }
})

const named = ({ partition, account, qos }: SlurmOptions): readonly string[] =>
  Object.entries({ partition, account, qos }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}=${value}`],
  )

/** How long before the end of its time a task is told to save its state, s. */
const warning = (seconds: number): number => Math.min(300, Math.max(15, Math.floor(seconds / 10)))

const demandArguments = ({ cpus, memory, seconds, gres }: Demand): readonly string[] => [
  "--nodes=1",
  "--ntasks=1",
  `--cpus-per-task=${cpus}`,
  `--mem=${memory}`,
  // In whole minutes.
  `--time=${Math.ceil(seconds / 60)}`,
  // To the script alone, which passes it on.
  `--signal=B:USR2@${warning(seconds)}`,
  ...(gres === undefined ? [] : [`--gres=${gres}`]),
]
