import { expect, test } from "bun:test"
import { batchesPerEpoch, shuffledBatches } from "../../../core/tensor/epochs.ts"
import { stream } from "../../../core/tensor/stream.ts"

const batchesOf = (seed: number, examples = 2490, batchSize = 16) =>
  shuffledBatches(stream(seed, "order"), examples, batchSize)

test("RTE: 156 batches an epoch, the last with 10 examples; each example once an epoch", () => {
  expect(batchesPerEpoch(2490, 16)).toBe(156)
  const batchOf = batchesOf(1)
  for (const epoch of [0, 1, 2]) {
    const batches = Array.from({ length: 156 }, (_, b) => [...batchOf(epoch * 156 + b)])
    expect(batches.map((batch) => batch.length)).toEqual([...new Array<number>(155).fill(16), 10])
    expect(batches.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 2490 }, (_, index) => index))
  }
})

test("every epoch and every seed has its own order", () => {
  const first = [...batchesOf(1)(0)]
  expect([...batchesOf(1)(156)]).not.toEqual(first)
  expect([...batchesOf(2)(0)]).not.toEqual(first)
})

test("a batch follows from the index of its update alone", () => {
  const inOrder = batchesOf(3, 21, 4)
  const batches = Array.from({ length: 18 }, (_, update) => [...inOrder(update)])
  for (const update of [17, 3, 11, 0, 6]) expect([...batchesOf(3, 21, 4)(update)]).toEqual(batches[update]!)
})

test("an epoch of full batches, and an epoch of one short batch", () => {
  expect([0, 1, 2].map((update) => batchesOf(1, 8, 4)(update).length)).toEqual([4, 4, 4])
  expect(batchesPerEpoch(5, 16)).toBe(1)
  expect(batchesOf(1, 5, 16)(7)).toHaveLength(5)
})
