/**
 * The jobs of a plan by level, for launchers that submit them to a queue: a job's level is one more than the highest of
 * those whose output it takes.
 *
 * ```
 * OUT/launches/<id>/levels.json     for each level the indices of its jobs in launch.json
 * ```
 */
import { join } from "node:path"
import { type } from "arktype"
import type { Effect } from "effect"
import type { Task } from "../../api/launcher.ts"
import type { InvalidInput } from "../../io/decode.ts"
import { type FileError, readJson, writeFile } from "../../io/files.ts"
import { usesBackend } from "../job.ts"
import { launchFolder } from "../launch.ts"
import { dependencies, jobSeconds, type Plan } from "../plan.ts"

export const Levels = type("(number.integer >= 0)[][]")

/** A task of a level, and the job of the plan that it is. */
interface PlannedTask extends Task {
  readonly job: number
}

/**
 * The tasks of each level, those that need most of a machine first: tensors before none, then by memory and by time, each
 * within a factor of 2.
 */
export const levelsOf = ({ jobs, speeds }: Plan): readonly (readonly PlannedTask[])[] => {
  const after = dependencies(jobs)
  const known: number[] = []
  // What an observer takes may come later among the jobs than the run that it watches.
  const levelOf = (index: number): number => {
    known[index] ??= after[index]!.reduce((highest, each) => Math.max(highest, levelOf(each) + 1), 0)
    return known[index]
  }
  const levels: PlannedTask[][] = []
  for (const [index, job] of jobs.entries()) {
    const level = levelOf(index)
    const { memory } = job.cost
    levels[level] ??= []
    levels[level].push({
      job: index,
      memory,
      seconds: jobSeconds(job, speeds),
      tensors: usesBackend(job),
    })
  }
  for (const level of levels) level.sort(bySize)
  return levels
}

/** The number of its binary digits. */
const magnitude = (amount: number): number => Math.ceil(amount).toString(2).length

const bySize = (a: PlannedTask, b: PlannedTask): number =>
  Number(b.tensors) - Number(a.tensors) ||
  magnitude(b.memory) - magnitude(a.memory) ||
  magnitude(b.seconds) - magnitude(a.seconds) ||
  a.job - b.job

const pathOf = (out: string, launch: string) => join(launchFolder(out, launch), "levels.json")

export const writeLevels = (
  out: string,
  launch: string,
  levels: readonly (readonly PlannedTask[])[],
): Effect.Effect<void, FileError> =>
  writeFile(pathOf(out, launch), `${JSON.stringify(levels.map((tasks) => tasks.map(({ job }) => job)))}\n`)

export const readLevels = (
  out: string,
  launch: string,
): Effect.Effect<typeof Levels.infer, FileError | InvalidInput> => readJson(pathOf(out, launch), Levels)
