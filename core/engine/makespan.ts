/** A task to be scheduled. */
export interface Task {
  readonly seconds: number
  /** The indices of the tasks that must end before it starts. */
  readonly after: readonly number[]
}

/**
 * The seconds until all tasks have ended. Tasks take the first free process in the order in which they become ready;
 * those that become ready at once, in the given order. That is how `execute` runs a plan.
 */
export const makespan = (tasks: readonly Task[], processes: number): number => {
  const free = new Array<number>(processes).fill(0)
  const left = tasks.map(({ after }) => after.length)
  const readyAt = tasks.map(() => 0)
  const next = tasks.map((): number[] => [])
  for (const [index, { after }] of tasks.entries()) for (const before of after) next[before]!.push(index)

  const ready = new Set([...left.keys()].filter((index) => left[index] === 0))
  while (ready.size > 0) {
    // Later tasks become ready when one that is ready now ends, so the earliest of those is the earliest of all.
    const index = [...ready].reduce((first, other) => (readyAt[other]! < readyAt[first]! ? other : first))
    ready.delete(index)
    const process = free.indexOf(Math.min(...free))
    const end = Math.max(readyAt[index]!, free[process]!) + tasks[index]!.seconds
    free[process] = end
    for (const follower of next[index]!) {
      readyAt[follower] = Math.max(readyAt[follower]!, end)
      left[follower]!--
      if (left[follower] === 0) ready.add(follower)
    }
  }
  return Math.max(...free)
}
