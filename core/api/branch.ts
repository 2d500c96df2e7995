/** Branches: what would a run have been, had something changed at one of its steps? */
import { InvalidInput } from "../io/decode.ts"
import { type Node, nodeOf } from "./plugin.ts"

/** A change during a run, at a step: the number of updates done before it. */
export interface Branch {
  readonly at: number
  /** The options that change, with their new values; null takes an optional one away. */
  readonly set: Readonly<Record<string, unknown>>
}

/** What can be branched has an option `branch`: its changes, in the order in which they were asked for. */
export interface Branched {
  readonly branch?: readonly Branch[]
}

/**
 * A run that is the same as `run` up to a step, to the bit, and from there on has other options:
 *
 * ```ts
 * const run = classification({ data, checkpoint, lr: 1e-3, seed: 2 })
 * const slower = branch(run, { at: 50, set: { lr: 5e-4 } })
 * const branches = mapCohort(runs, (run) => branch(run, { at: 50, set: { dropout: 0 } }), { branch: "no dropout" })
 * ```
 *
 * It is computed from its start, so it needs nothing of `run`'s, stored or not, and probes can watch all of it. A branch
 * can be branched again, before its change as well as after it: the change that was asked for last counts.
 *
 * @throws InvalidInput if the options of such a run cannot change
 */
export const branch = <N extends Node>(run: N, { at, set }: Branch): N => {
  const { plugin, given, inputs } = run
  if (plugin.changes === undefined) {
    const problem = "expected a run whose options can change during training, such as one of fine-tuning"
    throw new InvalidInput({ what: `a branch of ${plugin.name}`, problems: [problem] })
  }
  const { branch: earlier = [] } = given as Branched
  // The node of the same plugin.
  return nodeOf(plugin, { ...inputs, ...given, branch: [...earlier, { at, set }] }) as N
}

/**
 * The options of a run in the order in which they hold, each from its step `from` until the next.
 *
 * @returns at least one, the first from step 0
 */
export const optionsByStep = <O extends Branched>(
  options: O,
): readonly { readonly from: number; readonly options: O }[] => {
  const { branch = [] } = options
  const steps = [...new Set([0, ...branch.map(({ at }) => at)])].sort((a, b) => a - b)
  return steps.map((from) => {
    const changes = branch.filter(({ at }) => at <= from).flatMap(({ set }) => Object.entries(set))
    const now = Object.entries({ ...options, ...Object.fromEntries(changes) })
    // The values of `set` were checked as the options that they replace.
    return { from, options: Object.fromEntries(now.filter(([, value]) => value !== null)) as unknown as O }
  })
}
