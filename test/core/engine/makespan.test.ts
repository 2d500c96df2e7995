import { expect, test } from "bun:test"
import { makespan } from "../../../core/engine/makespan.ts"

const task = (seconds: number, ...after: number[]) => ({ seconds, after })

test("no tasks take no time, and one process runs all in turn", () => {
  expect(makespan([], 3)).toBe(0)
  expect(makespan([task(2), task(3), task(5, 0, 1)], 1)).toBe(10)
})

test("independent tasks share the processes", () => {
  expect(makespan([task(4), task(3), task(2), task(1)], 2)).toBe(5)
  expect(makespan([task(4), task(3), task(2), task(1)], 9)).toBe(4)
})

test("a chain takes the sum of its tasks on any number of processes", () => {
  expect(makespan([task(1), task(2, 0), task(4, 1)], 8)).toBe(7)
})

test("a process does not wait for a task while another one is ready", () => {
  // Task 1 waits for task 0; tasks 2 and 3 run beside task 0 meanwhile, though they come after task 1.
  expect(makespan([task(6), task(6, 0), task(3), task(3)], 2)).toBe(12)
  // 0 to 4, then 1 to 5 beside 3 from 4 on.
  expect(makespan([task(4), task(1, 0), task(4), task(5)], 2)).toBe(9)
})

test("a task may be listed before those that it waits for", () => {
  expect(makespan([task(5, 2), task(1, 0), task(2)], 2)).toBe(8)
})
