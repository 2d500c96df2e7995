import { Heap } from "./heap.ts"

/** A task to be scheduled. */
export interface Task {
  readonly seconds: number
  /** The indices of the tasks that must end before it starts. */
  readonly after: readonly number[]
}

/**
 * The seconds until all tasks have ended. Tasks take the first free process in the order in which they become ready;
 * those that become ready at once, in the given order. That is how `execute` runs a plan. Takes O(n log n).
 */
export const makespan = (tasks: readonly Task[], processes: number): number => {
  const free = new Heap<number>((a, b) => a < b)
  for (let process = 0; process < processes; process++) free.add(0)
  const left = tasks.map(({ after }) => after.length)
  const readyAt = new Float64Array(tasks.length)
  const next = tasks.map((): number[] => [])
  for (const [index, { after }] of tasks.entries()) for (const before of after) next[before]!.push(index)

  // Later tasks become ready when one that is ready now ends, so the earliest of those is the earliest of all.
  const ready = new Heap<number>((a, b) => readyAt[a]! < readyAt[b]! || (readyAt[a] === readyAt[b] && a < b))
  for (const index of tasks.keys()) if (left[index] === 0) ready.add(index)
  let last = 0
  while (ready.size > 0) {
    const index = ready.take()!
    const end = Math.max(readyAt[index]!, free.take()!) + tasks[index]!.seconds
    free.add(end)
    last = Math.max(last, end)
    for (const follower of next[index]!) {
      readyAt[follower] = Math.max(readyAt[follower]!, end)
      left[follower]!--
      if (left[follower] === 0) ready.add(follower)
    }
  }
  return last
}
