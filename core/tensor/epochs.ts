import { permutation, type Stream } from "./stream.ts"

/** The number of batches in an epoch, of which the last may be short. */
export const batchesPerEpoch = (examples: number, batchSize: number): number =>
  Math.ceil(examples / batchSize)

/**
 * The examples of each update, every epoch in an order of its own. The order follows from the stream and the epoch
 * alone, so any update's batch can be had without those before it.
 *
 * @param order by custom the stream of the name `order`
 * @returns the places of the examples of update `step` (from 0); the last batch of an epoch may be short
 */
export const shuffledBatches = (
  order: Stream,
  examples: number,
  batchSize: number,
): ((step: number) => Int32Array) => {
  const perEpoch = batchesPerEpoch(examples, batchSize)
  let current: { epoch: number; places: Int32Array } = { epoch: -1, places: new Int32Array() }
  return (step) => {
    const epoch = Math.floor(step / perEpoch)
    if (epoch !== current.epoch) current = { epoch, places: permutation(order, examples, epoch) }
    const start = (step % perEpoch) * batchSize
    return current.places.subarray(start, start + batchSize)
  }
}
