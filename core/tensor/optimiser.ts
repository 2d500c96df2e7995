import * as tf from "@tensorflow/tfjs-core"
import { type Component, componentOf } from "../api/component.ts"
import { clippingScale } from "./ops/global-norm.ts"
import { type Gradients, Parameters } from "./parameters.ts"

/** What one update of one parameter is computed from. `Kept` are the names of the tensors that the optimiser keeps. */
export interface OptimiserStep<Kept extends string> {
  readonly theta: tf.Tensor
  /** In θ's shape; after clipping, but before it for `updateAll`. */
  readonly gradient: tf.Tensor
  /** As `init` or the previous update returned it. */
  readonly state: Readonly<Record<Kept, tf.Tensor>>
  /** The schedule's learning rate times the parameter's multiplier. */
  readonly learningRate: number
  /** The number of updates of this parameter from its state before the first: 1 in the first. */
  readonly step: number
}

/** A parameter after an update and its state, under the names of the state before. */
export type Updated<Kept extends string> = { readonly theta: tf.Tensor } & {
  readonly [N in Kept]?: tf.Tensor
}

/** The clipping of an update, whose norm need not have been read. */
export interface Clipping {
  /** Of all gradients as one vector, before clipping. If it is not finite, no update is made. */
  readonly norm: tf.Scalar
  /** Gradients are multiplied by `clippingScale` of the norm and this. */
  readonly largestNorm: number
}

interface Initial<Kept extends string> {
  /** The state before the first update: float32 tensors of its own, so `theta.clone()`, never `theta`. */
  init(theta: tf.Tensor): { readonly [N in Kept]?: tf.Tensor }
}

interface OneByOne<Kept extends string> extends Initial<Kept> {
  update(step: OptimiserStep<Kept>): Updated<Kept>
}

interface AllAtOnce<Kept extends string> extends Initial<Kept> {
  /**
   * The update of all parameters, in the same order, in few calls of the backend and without reading the norm, so that
   * a device may still be computing the gradients. It clips by itself, and changes no value if the norm is not finite.
   * It takes over θ and the state: it disposes of each of these tensors that it does not return.
   */
  updateAll(steps: readonly OptimiserStep<Kept>[], clipping: Clipping): readonly Updated<Kept>[]
}

/**
 * How a parameter θ follows its gradients: by `init` and `update` or, for an optimiser with a kernel of its own, by `init`
 * and `updateAll`. They run in a tidy: `init` and `update` dispose of nothing, and what they do not return is disposed
 * of. Training resumes from θ and the state alone, so an optimiser remembers nothing else.
 *
 * @typeParam Kept the names of the tensors that it keeps for each parameter. `init` may leave some out for a parameter,
 *   and its updates then too.
 */
export type OptimiserFunctions<Kept extends string = string> = OneByOne<Kept> | AllAtOnce<Kept>

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
  try {
    for (const name of names) {
      const kept = tf.tidy(() => optimiser.init(parameters.get(name)))
      store(state, name, kept)
    }
  } catch (error) {
    // The device may be out of memory, and then goes on.
    for (const set of state.values()) set.dispose()
    throw error
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
 * One update of all parameters that have a gradient; others, and their state, stay as they are. No value changes if the
 * norm is not finite. Parameters and state are replaced in their sets: a tensor taken from a set before the update must
 * not be used after it.
 */
export const updateParameters = (
  optimiser: OptimiserFunctions,
  parameters: Parameters,
  gradients: Gradients,
  state: OptimiserState,
  settings: {
    readonly clipping: Clipping
    readonly learningRate: (name: string) => number
    readonly step: (name: string) => number
  },
): void => {
  const stepOf = (name: string, gradient: tf.Tensor): OptimiserStep<string> => {
    const kept: Record<string, tf.Tensor> = {}
    for (const [part, set] of state) if (set.has(name)) kept[part] = set.get(name)
    const [learningRate, step] = [settings.learningRate(name), settings.step(name)]
    return { theta: parameters.get(name), gradient, state: kept, learningRate, step }
  }
  const replace = (name: string, { theta, ...kept }: Updated<string>) => {
    parameters.set(name, theta)
    store(state, name, kept)
  }
  const { norm, largestNorm } = settings.clipping
  if ("updateAll" in optimiser) {
    const steps = [...gradients].map(([name, gradient]) => stepOf(name, gradient))
    const updated = tf.tidy(() => optimiser.updateAll(steps, settings.clipping) as Updated<string>[])
    for (const [i, name] of [...gradients.keys()].entries()) replace(name, updated[i]!)
    return
  }
  const size = norm.dataSync()[0]!
  if (!Number.isFinite(size)) return
  const scale = clippingScale(size, largestNorm)
  for (const [name, gradient] of gradients) {
    const updated = tf.tidy(() => optimiser.update(stepOf(name, tf.mul(gradient, scale))))
    replace(name, updated)
  }
}
