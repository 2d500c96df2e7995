import { type Component, componentOf } from "../api/component.ts"

/** How the learning rate changes once warm-up is over. */
export interface ScheduleFunctions {
  /**
   * What the peak is multiplied by.
   *
   * @param update its index among the updates after warm-up, from 0
   * @param updates the number of updates after warm-up, > `update`
   */
  readonly factor: (update: number, updates: number) => number
}

/** See {@link ScheduleFunctions}; `component` makes one, in a file of its own. */
export type Schedule = Component<"schedule"> & ScheduleFunctions

/** The option of a plugin that takes a schedule. */
export const scheduleOption = componentOf<Schedule>("schedule")

/**
 * The learning rates of the updates s = 0 … S − 1: the peak times linear warm-up over w updates and then the schedule's
 * factor. During warm-up the factor is s / w, so with a warm-up the first update has learning rate 0.
 *
 * @returns [steps]
 * @throws RangeError unless 0 ≤ warm-up ≤ steps, both integers
 */
export const learningRates = (
  { factor }: ScheduleFunctions,
  peak: number,
  steps: number,
  warmupSteps: number,
): Float64Array => {
  if (!Number.isInteger(steps) || !Number.isInteger(warmupSteps) || warmupSteps < 0 || warmupSteps > steps) {
    throw new RangeError(`a warm-up of ${warmupSteps} steps does not fit into ${steps} steps`)
  }
  return Float64Array.from(
    { length: steps },
    (_, s) => peak * (s < warmupSteps ? s / warmupSteps : factor(s - warmupSteps, steps - warmupSteps)),
  )
}

/**
 * The number of updates in `part` of `steps` updates (of an epoch or of a training), rounded up: 0.3 of 156 are 47.
 * An excess that is only the product's rounding error does not count: 0.7 of 10 are 7.
 */
export const stepsIn = (part: number, steps: number): number => Math.max(0, Math.ceil(part * steps - 1e-9))
