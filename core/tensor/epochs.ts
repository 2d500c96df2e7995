import { permutation, type Stream } from "./stream.ts"

/** The number of batches in an epoch; the last may be short. */
export const batchesPerEpoch = (examples: number, batchSize: number): number =>
  Math.ceil(examples / batchSize)

/**
 * The examples of each update, in a new order every epoch. The order follows from the stream and the epoch alone, so
 * the batch of any update can be computed without those before it.
 *
 * @param order conventionally the stream named `order`
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
