import { describe, expect, test } from "bun:test"
import type { Task } from "../../../../core/api/launcher.ts"
import { arraysOf, type Wishes } from "../../../../plugins/launcher/slurm/arrays.ts"

const task = (more: Partial<Task> = {}): Task => ({ memory: 0, seconds: 60, tensors: true, ...more })
const tasks = (count: number, more: Partial<Task> = {}) => Array.from({ length: count }, () => task(more))
const none: Wishes = { size: 1000 }
const arrays = (
  levels: readonly (readonly Task[])[],
  wishes: Partial<Wishes> = {},
  processes = 8,
  device?: "cuda",
) => arraysOf({ levels, slots: { processes, threads: 6 }, device }, { ...none, ...wishes })
const placed = (found: ReturnType<typeof arrays>) =>
  found.map(({ level, first, tasks, limit }) => [level, first, tasks, limit])

describe("arrays", () => {
  test("are one for each level, of at most so many tasks at a time", () => {
    expect(placed(arrays([tasks(1), tasks(40), tasks(3)]))).toEqual([
      [0, 0, 1, 1],
      [1, 0, 40, 8],
      [2, 0, 3, 3],
    ])
  })

  test("are no longer than Slurm takes, and together run no more at a time", () => {
    const found = arrays([tasks(25)], { size: 10 })
    expect(placed(found)).toEqual([
      [0, 0, 10, 3],
      [0, 10, 10, 3],
      [0, 20, 5, 2],
    ])
    expect(found.map(({ after }) => after)).toEqual([undefined, undefined, undefined])
    // Of more arrays than may run tasks, the others come after them; a level's places count on from the one before.
    const chained = arrays([tasks(1), tasks(5)], { size: 1 }, 2)
    expect(chained.map(({ level, limit, after }) => [level, limit, after])).toEqual([
      [0, 1, undefined],
      [1, 1, undefined],
      [1, 1, undefined],
      [1, 1, 1],
      [1, 1, 2],
      [1, 1, 3],
    ])
  })

  test("run as many tasks at a time as their work takes to end together", () => {
    // 5 trainings of an hour beside 180 runs of five minutes, 20 h of work in all.
    const level = [...tasks(5, { memory: 64e9, seconds: 3600 }), ...tasks(180, { memory: 8e9, seconds: 300 })]
    const limits = (processes: number) => arrays([level], {}, processes).map(({ limit }) => limit)
    expect(limits(32)).toEqual([5, 27])
    expect(limits(8)).toEqual([2, 6])
    expect(limits(2)).toEqual([1, 1])
    expect(limits(1)).toEqual([1, 1])
    expect(limits(1000)).toEqual([5, 180])
    // Whatever they need, all of them together run no more at a time than that.
    for (let processes = 1; processes <= 12; processes++) {
      const found = arrays([[...level, ...tasks(3, { tensors: false, seconds: 0 })]], { size: 50 }, processes)
      const firsts = found.filter(({ after }) => after === undefined)
      expect(firsts.reduce((sum, { limit }) => sum + limit, 0)).toBe(processes)
      // Whoever comes after another one takes its place.
      for (const { limit, after } of found)
        if (after !== undefined) expect(limit).toBeLessThanOrEqual(found[after]!.limit)
    }
  })

  test("are several where tasks ask for much less memory, or compute without tensors", () => {
    const level = [
      ...tasks(2, { memory: 64e9 }),
      ...tasks(2, { memory: 40e9 }),
      ...tasks(2, { memory: 8e9 }),
      ...tasks(2, { memory: 8e9, tensors: false }),
    ]
    expect(placed(arrays([level])).map(([, first, count]) => [first, count])).toEqual([
      [0, 4],
      [4, 2],
      [6, 2],
    ])
    // What differs only in what is next to nothing shares one.
    expect(arrays([[task({ memory: 1e8 }), task({ memory: 1e6 })]]).length).toBe(1)
  })
})

describe("an array asks for", () => {
  test("the memory and four times the time of its largest task, and some more of both", () => {
    const [found] = arrays([
      [task({ memory: 2 ** 33, seconds: 600 }), task({ memory: 2 ** 32, seconds: 7200 })],
    ])
    // 1.25 × 8 GiB and 1 GiB.
    expect(found!.demand).toEqual({ cpus: 6, memory: "11264M", seconds: 600 + 4 * 7200, gres: undefined })
    expect(arrays([tasks(1)])[0]!.demand.seconds).toBe(1800)
    // A task that takes longer than the partition allows is queued again.
    expect(arrays([tasks(1, { seconds: 7200 })], { longest: 14_400 })[0]!.demand.seconds).toBe(14_400)
  })

  test("a GPU on a backend that needs one, and several cores, for tensors alone", () => {
    const [tensors, others] = arrays([[task(), task({ tensors: false })]], {}, 8, "cuda")
    expect(tensors!.demand).toMatchObject({ cpus: 6, gres: "gpu:1" })
    expect(others!.demand).toMatchObject({ cpus: 1, gres: undefined })
  })

  test("what the options say instead", () => {
    const wishes = { gres: "gpu:a100:1", memory: "0", seconds: 86_400 }
    const [found] = arrays([tasks(1)], wishes, 8, "cuda")
    expect(found!.demand).toEqual({ cpus: 6, ...wishes })
  })
})
