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
  /** The place among all arrays of one of its level that must have ended before it starts; undefined if none must. */
  readonly after: number | undefined
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
/** What each task takes besides, until it computes, s. */
const startSeconds = 5
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
): readonly TaskArray[] => {
  const arrays: TaskArray[] = []
  for (const [level, tasks] of levels.entries()) {
    const before = arrays.length
    const found = parts(tasks, wishes.size)
    const rooms = roomsOf(
      found.map(({ part }) => part),
      slots.processes,
    )
    for (const [index, { first, part }] of found.entries()) {
      const { limit, after } = rooms[index]!
      arrays.push({
        level,
        first,
        tasks: part.length,
        limit,
        after: after === undefined ? undefined : before + after,
        demand: demandOf(part, slots, device, wishes),
      })
    }
  }
  return arrays
}

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

/** Some of the slots, which arrays use one after the other. */
interface Lane {
  /** The last array's place. */
  last: number | undefined
  /** s */
  work: number
  /** How many tasks it can run at a time at most. */
  most: number
  slots: number
}

/**
 * What each array of a level has of the slots. Together they run no more tasks at a time than there are slots, and end at
 * about the same time if the estimates are right. Of more arrays than slots, some start after others: `after` is the
 * place of that.
 */
const roomsOf = (arrays: readonly (readonly Task[])[], slots: number) => {
  const lanes = Array.from(
    { length: Math.min(slots, arrays.length) },
    (): Lane => ({ last: undefined, work: 0, most: 0, slots: 1 }),
  )
  const placed = arrays.map((tasks, index) => {
    const lane = lanes.reduce((least, each) => (each.work < least.work ? each : least))
    const after = lane.last
    lane.last = index
    lane.work += tasks.reduce((sum, { seconds }) => sum + seconds + startSeconds, 0)
    lane.most = Math.max(lane.most, tasks.length)
    return { lane, after, tasks: tasks.length }
  })
  for (let left = slots - lanes.length; left > 0; left--) {
    const open = lanes.filter((lane) => lane.slots < lane.most)
    if (open.length === 0) break
    // The next slot goes to those that would end last.
    open.reduce((last, lane) => (lane.work / lane.slots > last.work / last.slots ? lane : last)).slots++
  }
  return placed.map(({ lane, after, tasks }) => ({ limit: Math.min(lane.slots, tasks), after }))
}

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
