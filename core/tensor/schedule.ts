/**
 * The learning rates of the updates s = 0 … S − 1: the peak times linear warm-up over w updates and then linear decay
 * (Devlin et al. 2019; `get_linear_schedule_with_warmup` of Hugging Face transformers). The factor is s / w for s < w,
 * else (S − s) / (S − w). With a warm-up the first update therefore has learning rate 0; without one it has the peak.
 *
 * @returns [steps]
 * @throws RangeError unless 0 ≤ warm-up ≤ steps, both integers
 */
export const linearSchedule = (peak: number, steps: number, warmupSteps: number): Float64Array => {
  if (!Number.isInteger(steps) || !Number.isInteger(warmupSteps) || warmupSteps < 0 || warmupSteps > steps) {
    throw new RangeError(`a warm-up of ${warmupSteps} steps does not fit into ${steps} steps`)
  }
  return Float64Array.from(
    { length: steps },
    (_, s) => peak * (s < warmupSteps ? s / warmupSteps : (steps - s) / (steps - warmupSteps)),
  )
}

/**
 * The number of updates in a number of epochs, rounded up: 0.3 epochs of 156 updates are 47.
 * An excess that is only the product's rounding error does not count: 0.7 epochs of 10 are 7.
 */
export const stepsInEpochs = (epochs: number, stepsPerEpoch: number): number =>
  Math.max(0, Math.ceil(epochs * stepsPerEpoch - 1e-9))
