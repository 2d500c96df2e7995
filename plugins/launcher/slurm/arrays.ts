/** Which tasks share an array, and what each of its tasks asks for. */
import type { Slots, Submission, Task } from "../../../core/api/launcher.ts"

/** What tasks of one array ask for alike. */
export interface Demand {
  readonly cpus: number
  /** As sbatch takes it. */
  readonly memory: string
  /** Of the time limit. */
  readonly seconds: number
  readonly gres: string | undefined
}

/** Consecutive tasks of a level. */
export interface TaskArray {
  readonly level: number
  readonly first: number
  readonly tasks: number
  /** How many of them run at a time. */
  readonly limit: number
  readonly demand: Demand
}

/** What the options of the launcher say of that. */
export interface Wishes {
  readonly gres?: string
  readonly memory?: string
  /** s */
  readonly seconds?: number
  /** The longest time that there is, s. */
  readonly longest?: number
  /** The largest number of tasks of an array. */
  readonly size: number
}

/** For the two processes of a task, before they have any tensors, MiB. */
const base = 1024
/** Estimates leave out what is small, and what is only there for a moment. */
const memoryMargin = 1.25
/** A machine may be slower than the one that the plan knows. */
const timeMargin = 4
/** s */
const shortestTime = 1800
/** Tasks that ask for so many times less memory than the first of an array have one of their own. */
const muchLess = 2

const mebibytes = (memory: number): number => Math.ceil((memoryMargin * memory) / 2 ** 20) + base
const timeOf = (seconds: number): number => Math.max(shortestTime, 600 + timeMargin * seconds)

/** What a task that only reads and writes files asks for. */
export const smallDemand: Demand = {
  cpus: 1,
  memory: `${2 * base}M`,
  seconds: 2 * shortestTime,
  gres: undefined,
}

/** The arrays of all levels, in the order of their tasks. */
export const arraysOf = (
  { levels, slots, device }: Pick<Submission, "levels" | "slots" | "device">,
  wishes: Wishes,
): readonly TaskArray[] =>
  levels.flatMap((tasks, level) =>
    parts(tasks, wishes.size).map(({ first, part }) => ({
      level,
      first,
      tasks: part.length,
      limit: limitOf(slots, part.length, tasks.length),
      demand: demandOf(part, slots, device, wishes),
    })),
  )

/** A level's tasks, which are sorted by size, in parts that ask for much the same. */
const parts = (tasks: readonly Task[], size: number) => {
  const all: { readonly first: number; readonly part: Task[] }[] = []
  for (const [index, task] of tasks.entries()) {
    const last = all.at(-1)
    const [head] = last?.part ?? []
    const joins =
      last !== undefined &&
      head !== undefined &&
      last.part.length < size &&
      head.tensors === task.tensors &&
      mebibytes(head.memory) < muchLess * mebibytes(task.memory)
    if (joins) last.part.push(task)
    else all.push({ first: index, part: [task] })
  }
  return all
}

/** Arrays of a level divide the slots among them, so that together they run no more than there are. */
const limitOf = ({ processes }: Slots, tasks: number, ofLevel: number): number =>
  Math.max(1, Math.floor((processes * tasks) / ofLevel))

const largest = (numbers: readonly number[]): number =>
  numbers.reduce((most, each) => Math.max(most, each), 0)

const demandOf = (
  tasks: readonly Task[],
  { threads = 1 }: Slots,
  device: Submission["device"],
  { gres, memory, seconds, longest = Number.POSITIVE_INFINITY }: Wishes,
): Demand => {
  const tensors = tasks[0]!.tensors
  const needed = tensors ? (gres ?? (device === undefined ? undefined : "gpu:1")) : undefined
  return {
    cpus: tensors ? threads : 1,
    memory: memory ?? `${mebibytes(largest(tasks.map((task) => task.memory)))}M`,
    seconds: seconds ?? Math.min(longest, timeOf(largest(tasks.map((task) => task.seconds)))),
    gres: needed,
  }
}
