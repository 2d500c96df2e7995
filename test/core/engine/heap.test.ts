import { expect, test } from "bun:test"
import { Heap } from "../../../core/engine/heap.ts"
import { integers, stream } from "../../../core/tensor/stream.ts"

const numbers = (count: number) => [
  ...integers({ stream: stream(1, "order"), site: 0, iteration: 0 }, count, 1000),
]

test("items come out in order, whatever order they were added in, also in between", () => {
  const heap = new Heap<number>((a, b) => a < b)
  const [first, second] = [numbers(500), numbers(800).slice(500)]
  for (const each of first) heap.add(each)
  const taken = [heap.take()!, heap.take()!]
  expect(taken).toEqual([...first].sort((a, b) => a - b).slice(0, 2))
  for (const each of second) heap.add(each)
  const rest = [...first.sort((a, b) => a - b).slice(2), ...second].sort((a, b) => a - b)
  expect(Array.from({ length: heap.size }, () => heap.take())).toEqual(rest)
  expect([heap.size, heap.take()]).toEqual([0, undefined])
})

test("ten times as many items take little more than ten times as many comparisons", () => {
  const comparisons = (count: number) => {
    let made = 0
    const heap = new Heap<number>((a, b) => {
      made++
      return a < b
    })
    for (const each of numbers(count)) heap.add(each)
    while (heap.size > 0) heap.take()
    return made
  }
  expect(comparisons(10_000) / comparisons(1000)).toBeLessThan(15)
})
