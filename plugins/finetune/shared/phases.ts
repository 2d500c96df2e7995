/** A run in phases: a branch changes its options at some of its steps. */
import { optionsByStep } from "../../../core/api/branch.ts"
import type { RunLength } from "../../../core/api/watch.ts"
import { batchesPerEpoch } from "../../../core/tensor/epochs.ts"
import type { Optimiser } from "../../../core/tensor/optimiser.ts"
import { learningRates, stepsIn } from "../../../core/tensor/schedule.ts"
import type { FineTuningOptions } from "./options.ts"

/** Options that hold from a step on until the next phase, and how long a run is that always has them. */
export interface Phase extends RunLength {
  readonly from: number
  readonly options: FineTuningOptions
}

/**
 * The phases of a run, at least one, the first from step 0.
 *
 * @param examples in the train split
 */
export const phasesOf = (options: FineTuningOptions, examples: number): readonly Phase[] =>
  optionsByStep(options).map((phase) => {
    const { epochs, batchSize, warmupRatio } = phase.options
    const steps = stepsIn(epochs, batchesPerEpoch(examples, batchSize))
    return { ...phase, steps, warmupSteps: stepsIn(warmupRatio, steps) }
  })

/** Why a run cannot be branched so. */
export const phaseProblems = (phases: readonly Phase[]): readonly string[] =>
  phases.slice(1).flatMap(({ from, steps, options }, i) => {
    const before = phases[i]!
    if (from > before.steps)
      return [`branch: step ${from} is beyond the end of the run, step ${before.steps}`]
    return from > steps
      ? [`branch: with epochs=${options.epochs} the run would end at step ${steps}, before step ${from}`]
      : []
  })

/** The phase that an update is in. */
export const phaseAt = <P extends Phase>(phases: readonly P[], update: number): P =>
  phases.findLast(({ from }) => from <= update)!

/** How long the run is, and how many of its updates its learning rate rises. */
export const lengthOf = (phases: readonly Phase[]): RunLength => {
  const { steps } = phases.at(-1)!
  let warmupSteps = 0
  while (warmupSteps < steps && warmupSteps < phaseAt(phases, warmupSteps).warmupSteps) warmupSteps++
  return { steps, warmupSteps }
}

/** The learning rates of all updates: in each phase those of a run that always had its options. */
export const ratesOf = (phases: readonly Phase[]): Float64Array => {
  const rates = phases.map(({ options: { schedule, lr }, steps, warmupSteps }) =>
    learningRates(schedule, lr, steps, warmupSteps),
  )
  return rates.at(-1)!.map((_, update) => rates[phases.indexOf(phaseAt(phases, update))]![update]!)
}

/** The epochs that each phase takes, fractions included. */
export const epochsOf = (phases: readonly Phase[]): readonly number[] => {
  const { steps, options } = phases.at(-1)!
  return phases.map(({ from }, i) => (options.epochs * ((phases[i + 1]?.from ?? steps) - from)) / steps)
}

/** Whether an optimiser that follows another starts with a new state: unless it is the same, perhaps with other options. */
export const startsAnew = (before: Optimiser, now: Optimiser): boolean =>
  now.name !== before.name || now.module !== before.module
