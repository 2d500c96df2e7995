/** What may change during training: from some update on, updates are made in another way. */
import { continueState, type OptimiserFunctions, type OptimiserState } from "./optimiser.ts"
import type { Parameters } from "./parameters.ts"
import type { ParametrisationFunctions } from "./parametrisation.ts"
import type { RegulariserFunctions } from "./regulariser.ts"
import type { Stream } from "./stream.ts"

/** The weights that a parametrisation replaces in every update. */
export interface Parametrised {
  readonly by: ParametrisationFunctions
  /** The site of the stream that each of the weights draws from, by its name. They must be in `start` of the training. */
  readonly sites: ReadonlyMap<string, number>
  readonly stream: Stream
}

/** How an update is made from the gradients of its loss, whatever its learning rate. */
export interface UpdateRule {
  readonly optimiser: OptimiserFunctions
  /**
   * What the learning rate of each trained parameter is multiplied by. Parameters that are not named are frozen: they
   * have no gradient and no state. By default all are trained, with 1.
   */
  readonly multipliers?: ReadonlyMap<string, number> | undefined
  readonly regulariser?: RegulariserFunctions | undefined
  readonly parametrised?: Parametrised | undefined
  /** Gradients whose norm exceeds this are scaled down to it; Infinity: never. */
  readonly clip: number
}

/** The rule from an update on, until the next change. */
export interface UpdateChange extends UpdateRule {
  /** The index of the first update that is made so, > 0. */
  readonly from: number
  /**
   * Whether the optimiser starts anew, as before the first update. If not, it goes on with its state; so it must be the
   * same optimiser, though perhaps with other options. A parameter that was frozen until now has a new state either way.
   */
  readonly newState: boolean
}

/** The updates from `from` until the next phase, which are all made in one way. */
export interface Phase extends UpdateRule {
  readonly from: number
  /** Of the trained parameters, in the order of all parameters. */
  readonly multipliers: ReadonlyMap<string, number>
  /** The update before which the optimiser's state of each trained parameter was new. */
  readonly since: ReadonlyMap<string, number>
}

/**
 * The phases of a training: at least one, in the order of their updates.
 *
 * @throws RangeError unless changes come in the order of their updates
 */
export const phasesOf = (
  training: UpdateRule & {
    readonly parameters: Parameters
    readonly changes?: readonly UpdateChange[] | undefined
  },
): readonly Phase[] => {
  const phases: Phase[] = []
  for (const change of [{ ...training, from: 0, newState: true }, ...(training.changes ?? [])]) {
    const { from, newState, optimiser, regulariser, parametrised, clip } = change
    const before = phases.at(-1)
    if (before !== undefined && from <= before.from)
      throw new RangeError(`the change at ${from} comes after the one at ${before.from}`)
    const multipliers = multipliersOf(training.parameters, change.multipliers)
    const since = new Map(
      [...multipliers.keys()].map((name) => [name, newState ? from : (before?.since.get(name) ?? from)]),
    )
    phases.push({ from, optimiser, regulariser, parametrised, clip, multipliers, since })
  }
  return phases
}

const multipliersOf = (
  parameters: Parameters,
  given: ReadonlyMap<string, number> | undefined,
): ReadonlyMap<string, number> =>
  new Map(
    parameters.names.flatMap((name) => {
      const multiplier = given === undefined ? 1 : given.get(name)
      return multiplier === undefined ? [] : [[name, multiplier] as const]
    }),
  )

/** The phase that an update is in. */
export const phaseOf = (phases: readonly Phase[], update: number): Phase =>
  phases.findLast(({ from }) => from <= update)!

/** Makes the optimiser's state that of a phase, from the one that training is in. */
export const enterPhase = (
  next: Phase,
  current: Phase,
  parameters: Parameters,
  state: OptimiserState,
): void => {
  const { optimiser, since } = next
  const carried = (name: string) => since.get(name) === current.since.get(name)
  const same = optimiser === current.optimiser && since.size === current.since.size
  if (same && [...since.keys()].every(carried)) return
  continueState(state, optimiser, parameters, since.keys(), carried)
}
