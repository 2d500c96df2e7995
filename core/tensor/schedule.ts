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
 * The number of updates in `part` of `steps` updates (of an epoch or of a training), rounded up: 0.3 of 156 are 47.
 * An excess that is only the product's rounding error does not count: 0.7 of 10 are 7.
 */
export const stepsIn = (part: number, steps: number): number => Math.max(0, Math.ceil(part * steps - 1e-9))
