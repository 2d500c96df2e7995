import { permutation, type Stream } from "./stream.ts"

/** The number of batches in an epoch, of which the last may be short. */
export const batchesPerEpoch = (examples: number, batchSize: number): number =>
  Math.ceil(examples / batchSize)

/**
 * The examples of each update, every epoch in an order of its own. The order follows from the stream and the epoch
 * alone, so any update's batch can be had without those before it.
 *
 * @param order by custom the stream of the name `order`
 * @returns the indices of the examples of update `update` (from 0); the last batch of an epoch may be short
 */
export const shuffledBatches = (
  order: Stream,
  examples: number,
  batchSize: number,
): ((update: number) => Int32Array) => {
  const perEpoch = batchesPerEpoch(examples, batchSize)
  let current: { epoch: number; indices: Int32Array } = { epoch: -1, indices: new Int32Array() }
  return (update) => {
    const epoch = Math.floor(update / perEpoch)
    if (epoch !== current.epoch) current = { epoch, indices: permutation(order, examples, epoch) }
    const start = (update % perEpoch) * batchSize
    return current.indices.subarray(start, start + batchSize)
  }
}
