/**
 * Peak times the multiplier of linear warm-up and linear decay, for each of the updates s = 0 … S − 1 (Devlin et al.
 * 2019; `get_linear_schedule_with_warmup` of Hugging Face transformers): s / w below w, else (S − s) / (S − w). With
 * a warm-up the first update therefore has learning rate 0; without one it has the peak.
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
 * The whole number of updates in so many epochs, rounded up: 0.3 epochs of 156 are 47.
 * What exceeds a whole number only by the rounding of the product does not count: 0.7 epochs of 10 are 7.
 */
export const stepsInEpochs = (epochs: number, stepsPerEpoch: number): number =>
  Math.max(0, Math.ceil(epochs * stepsPerEpoch - 1e-9))
