import * as tf from "@tensorflow/tfjs-core"
import { type Component, componentOf } from "../api/component.ts"
import { type Gradients, Parameters } from "./parameters.ts"

/** What one update of one parameter is computed from. `Kept` are the names of the tensors that the optimiser keeps. */
export interface OptimiserStep<Kept extends string> {
  readonly theta: tf.Tensor
  /** In θ's shape, after clipping. */
  readonly gradient: tf.Tensor
  /** Before clipping, and what clipping multiplies it by: for a kernel that multiplies by itself. */
  readonly unclipped: tf.Tensor
  readonly gradientScale: number
  /** As `init` or the previous update returned it. */
  readonly state: Readonly<Record<Kept, tf.Tensor>>
  /** The schedule's learning rate times the parameter's multiplier. */
  readonly learningRate: number
  /** The number of updates of this parameter from its state before the first: 1 in the first. */
  readonly step: number
}

/**
 * How a parameter θ follows its gradients. Both functions run in a tidy: they dispose of nothing, and what they do not
 * return is disposed of. Training resumes from θ and the state alone, so an optimiser remembers nothing else.
 *
 * @typeParam Kept the names of the tensors that it keeps for each parameter. `init` may leave some out for a parameter,
 *   and `update` then too.
 */
export interface OptimiserFunctions<Kept extends string = string> {
  /** The state before the first update: float32 tensors of its own, so `theta.clone()`, never `theta`. */
  init(theta: tf.Tensor): { readonly [N in Kept]?: tf.Tensor }
  /** The parameter after the update and the state, under the same names. */
  update(step: OptimiserStep<Kept>): { readonly theta: tf.Tensor } & { readonly [N in Kept]?: tf.Tensor }
}

/** See {@link OptimiserFunctions}; `component` makes one, in a file of its own. */
export type Optimiser = Component<"optimiser"> & OptimiserFunctions

/** The option of a plugin that takes an optimiser. */
export const optimiserOption = componentOf<Optimiser>("optimiser", "an")

/** What an optimiser keeps: sets of tensors by name (`m`, `v`), in each by parameter. Whoever made it disposes of it. */
export type OptimiserState = Map<string, Parameters>

const store = (state: OptimiserState, parameter: string, kept: ReturnType<OptimiserFunctions["init"]>) => {
  for (const [name, tensor] of Object.entries(kept)) {
    if (tensor === undefined) continue
    const set = state.get(name) ?? new Parameters()
    state.set(name, set)
    set.set(parameter, tensor)
  }
}

/** The state before the first update, for the parameters of these names. */
export const initialState = (
  optimiser: OptimiserFunctions,
  parameters: Parameters,
  names: Iterable<string>,
): OptimiserState => {
  const state: OptimiserState = new Map()
  for (const name of names) {
    const kept = tf.tidy(() => optimiser.init(parameters.get(name)))
    store(state, name, kept)
  }
  return state
}

/**
 * The state of an optimiser that goes on where another one was, in the place of its state, which is disposed of: what
 * both keep of a parameter under the same name and in the same shape is carried over, all else is as before the first
 * update.
 *
 * @param names the parameters that are trained from now on
 * @param carried whether the state of a parameter is carried over
 */
export const continueState = (
  state: OptimiserState,
  optimiser: OptimiserFunctions,
  parameters: Parameters,
  names: Iterable<string>,
  carried: (name: string) => boolean,
): void => {
  const next = initialState(optimiser, parameters, names)
  for (const [part, set] of next) {
    for (const name of set.names.filter(carried)) {
      const before = state.get(part)
      if (before?.has(name) && tf.util.arraysEqual(before.get(name).shape, set.get(name).shape))
        set.set(name, before.get(name).clone())
    }
  }
  for (const set of state.values()) set.dispose()
  state.clear()
  for (const [part, set] of next) state.set(part, set)
}

/**
 * One update of all parameters that have a gradient; others, and their state, stay as they are. Parameters and state are
 * replaced in their sets: a tensor taken from a set before the update must not be used after it.
 */
export const updateParameters = (
  optimiser: OptimiserFunctions,
  parameters: Parameters,
  gradients: Gradients,
  state: OptimiserState,
  settings: {
    readonly gradientScale: number
    readonly learningRate: (name: string) => number
    readonly step: (name: string) => number
  },
): void => {
  const { gradientScale } = settings
  for (const [name, unclipped] of gradients) {
    const kept: Record<string, tf.Tensor> = {}
    for (const [part, set] of state) if (set.has(name)) kept[part] = set.get(name)
    const { theta, ...next } = tf.tidy(() =>
      optimiser.update({
        theta: parameters.get(name),
        // Computed only for an optimiser that asks for it.
        get gradient() {
          return tf.mul(unclipped, gradientScale)
        },
        unclipped,
        gradientScale,
        state: kept,
        learningRate: settings.learningRate(name),
        step: settings.step(name),
      }),
    )
    parameters.set(name, theta)
    store(state, name, next)
  }
}
