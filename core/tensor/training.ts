/** Training: an optimiser's updates by a schedule, which can be stopped between any two updates and resumed. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { UnitFailure } from "../api/failure.ts"
import { Progress } from "../api/progress.ts"
import { elapsedMillis } from "../io/clock.ts"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"
import { globalNorm } from "./ops/global-norm.ts"
import { initialState, type OptimiserState, updateParameters } from "./optimiser.ts"
import { disposeGradients, type Gradients, type Parameters, valueAndGradients } from "./parameters.ts"
import {
  enterPhase,
  type Phase,
  phaseOf,
  phasesOf,
  type UpdateChange,
  type UpdateRule,
} from "./training-phases.ts"
import { loadTraining, saveTraining, type TrainingState } from "./training-state.ts"

/** What was measured in an update. */
export interface UpdateMetrics {
  /** Before the update, with dropout; without a regulariser's penalty. */
  readonly loss: number
  readonly learningRate: number
  /** Euclidean norm of the gradients of all trained parameters, the regulariser's included, before clipping. */
  readonly gradientNorm: number
}

/** The metrics of all updates, [steps] each. Those of update u (from 0) were measured on the model at step u. */
export type Metrics = { readonly [M in keyof UpdateMetrics]: Float64Array }

/** The metrics of the update that led to a step; undefined at step 0. */
export const metricsBefore = (metrics: Metrics, step: number): UpdateMetrics | undefined =>
  step === 0
    ? undefined
    : {
        loss: metrics.loss[step - 1]!,
        learningRate: metrics.learningRate[step - 1]!,
        gradientNorm: metrics.gradientNorm[step - 1]!,
      }

export interface Training<E, R> extends UpdateRule {
  /** Updated in place; the caller still owns them. */
  readonly parameters: Parameters
  /** [steps], one for each update: their number is the length of training. */
  readonly learningRates: Float64Array
  /** How updates are made from some step on; in the order of their steps. */
  readonly changes?: readonly UpdateChange[] | undefined
  /**
   * Parameters as they were before training, without those that were drawn at random, for a regulariser or a
   * parametrisation. They are not part of the saved state; the caller still owns them.
   */
  readonly start?: Parameters | undefined
  /**
   * The loss of update `update` (from 0), computed under the tape, with dropout. Must follow from the parameters and the
   * index of the update alone, so that training gives the same bits when it is resumed.
   *
   * @param parameters what to compute it with: those that are trained, unless there is a parametrisation
   */
  readonly loss: (update: number, parameters: Parameters) => tf.Scalar
  /** The folder in which the state is saved, to resume from. */
  readonly scratch: string
  /** Stops at this step; by default after all updates. */
  readonly until?: number
  /**
   * Called at each step (the number of updates done), 0 included. On resuming it is called again for the step resumed
   * from, so it must be safe to call twice. It may read the model, but must not change it.
   *
   * @param last the metrics of the update that led here; undefined at step 0. Fails if training has diverged, so whoever
   *   looks at the model asks for them first. Whoever does not look leaves them alone: the device has to finish all
   *   updates before they can be read
   */
  readonly at?: (
    step: number,
    last: Effect.Effect<UpdateMetrics | undefined, UnitFailure>,
  ) => Effect.Effect<void, E, R>
  /** Waited for before a state is saved: what `at` has left to be done would not be done again after resuming. */
  readonly settled?: Effect.Effect<void>
}

/**
 * Losses and norms are read once in so many updates. To read them is to wait until a device that runs ahead has nothing
 * left to do, and then it has nothing until the next update has been put into its queue: of eight updates in a row, only
 * one is not prepared while the device computes. If training has diverged, up to seven updates are computed for nothing.
 */
const readEvery = 8

/** A state is saved this often (milliseconds), but saving takes at most a twentieth of the time. */
const savePeriod = 60_000
const saveEvery = 20

/**
 * Trains: each update computes the loss and its gradients, clips their norm and applies the optimiser.
 *
 * The device may run ahead: losses and norms are read once in several updates, and before what depends on them. An
 * update whose loss or norm is not finite is not made, nor any after it, since each watches those that were not read:
 * so what is found late changes nothing but the time that it took.
 *
 * An update runs without a pause; the fibre yields between updates, and an interruption takes effect there. The state
 * (trained parameters, the optimiser's tensors, metrics) is saved in `scratch` on interruption and every minute. If a
 * state is found there, training resumes from it, and gives the same bits as if it had never been stopped.
 *
 * @returns the metrics of all updates that were made, including those before a stop
 * @throws UnitFailure with the outcome `diverged` and the step that was reached if the loss or the gradient norm of the
 *   next update is not finite; the parameters are those of that step
 */
export const train = Effect.fnUntraced(function* <E = never, R = never>(
  training: Training<E, R>,
): Effect.fn.Return<Metrics, E | FileError | InvalidInput | UnitFailure, R | Progress> {
  const { parameters, learningRates, scratch, at, settled = Effect.void } = training
  const progress = yield* Progress
  const total = learningRates.length
  const until = Math.min(training.until ?? total, total)
  const phases = phasesOf(training)
  let phase = phases[0]!
  const optimiser = initialState(phase.optimiser, parameters, phase.multipliers.keys())
  let state: TrainingState = {
    parameters,
    trained: parameters.names.filter((name) => phases.some(({ multipliers }) => multipliers.has(name))),
    optimiser,
    step: 0,
    loss: new Float64Array(total),
    gradientNorm: new Float64Array(total),
  }

  const unread: Measured[] = []
  /** Reads what is not read yet. Training has diverged at the first update of which a number is not finite. */
  const read = Effect.suspend(() => {
    while (unread.length > 0) {
      const update = state.step - unread.length
      const { loss, gradientNorm } = valuesOf(unread.shift()!)
      if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
        const reason = Number.isFinite(loss) ? `the gradient norm is ${gradientNorm}` : `the loss is ${loss}`
        return Effect.fail(new UnitFailure({ outcome: "diverged", reason, step: update }))
      }
      state.loss[update] = loss
      state.gradientNorm[update] = gradientNorm
    }
    return Effect.void
  })

  const save = read.pipe(
    Effect.andThen(settled),
    Effect.andThen(Effect.suspend(() => saveTraining(scratch, state))),
  )
  const visit = Effect.suspend(() => {
    const { step } = state
    const last = Effect.map(read, () => metricsBefore({ ...state, learningRate: learningRates }, step))
    return at?.(step, last) ?? Effect.void
  })

  const enter = (next: Phase) => {
    if (next === phase) return
    enterPhase(next, phase, parameters, optimiser)
    phase = next
  }
  /** What a saved state at a step fills: the optimiser's is that after the update which led there. */
  const savedAt = (step: number): TrainingState => {
    enter(phaseOf(phases, Math.max(0, step - 1)))
    return state
  }

  const load = Effect.map(loadTraining(scratch, savedAt, until), (step) => {
    state = { ...state, step }
  })

  const loop = Effect.gen(function* () {
    yield* visit
    let shown: string | undefined
    let nextSave = (yield* elapsedMillis) + savePeriod
    while (state.step < until) {
      const update = state.step
      enter(phaseOf(phases, update))
      unread.push(makeUpdate(training, phase, optimiser, update, unread.at(-1)))
      state = { ...state, step: update + 1 }
      // The first at once, so that there is a loss to show.
      if (shown === undefined || unread.length === readEvery || state.step === until) yield* read
      if (unread.length === 0) shown = `loss ${state.loss[update]!.toFixed(4)}`
      yield* progress.report(update + 1, until, shown)
      yield* Effect.yieldNow
      yield* visit
      const now = yield* elapsedMillis
      if (now >= nextSave) {
        yield* save
        const saved = yield* elapsedMillis
        nextSave = saved + Math.max(savePeriod, saveEvery * (saved - now))
      }
    }
  }).pipe(
    Effect.onInterrupt(() =>
      Effect.catch(save, (error) => Effect.logWarning(`the training state was not saved: ${error.message}`)),
    ),
  )

  // An interruption must not save a state that is only half read, so only the loop saves.
  yield* Effect.andThen(load, loop).pipe(
    Effect.ensuring(
      Effect.sync(() => {
        for (const kept of optimiser.values()) kept.dispose()
        for (const { loss, norm } of unread) tf.dispose([loss, norm])
      }),
    ),
  )
  return {
    loss: state.loss.subarray(0, until),
    learningRate: learningRates.subarray(0, until),
    gradientNorm: state.gradientNorm.subarray(0, until),
  }
})

/** What was measured in an update, on the device. */
interface Measured {
  readonly loss: tf.Scalar
  /** Not finite either if the loss is not, or a number of the update before that was not read yet. */
  readonly norm: tf.Scalar
}

/** Reads what was measured, which waits for the device, and disposes of it. */
const valuesOf = ({ loss, norm }: Measured): Pick<UpdateMetrics, "loss" | "gradientNorm"> => {
  try {
    return { loss: loss.dataSync()[0]!, gradientNorm: norm.dataSync()[0]! }
  } finally {
    tf.dispose([loss, norm])
  }
}

/**
 * One update, which changes no value if the loss, the gradient norm or that of `before` is not finite.
 *
 * @param before the update before this one, unless it was read
 */
const makeUpdate = <E, R>(
  training: Training<E, R>,
  phase: Phase,
  state: OptimiserState,
  update: number,
  before: Measured | undefined,
): Measured => {
  const { parameters, learningRates } = training
  const { optimiser, multipliers, since, clip } = phase
  const { loss, gradients } = lossAndGradients(training, phase, update)
  const made: tf.Tensor[] = [loss]
  try {
    const norm = globalNorm(gradients, before === undefined ? [loss] : [loss, before.norm])
    made.push(norm)
    updateParameters(optimiser, parameters, gradients, state, {
      clipping: { norm, largestNorm: clip },
      learningRate: (name) => learningRates[update]! * multipliers.get(name)!,
      step: (name) => update + 1 - since.get(name)!,
    })
    return { loss, norm }
  } catch (error) {
    // A device may run out of memory, and then goes on with other work.
    tf.dispose(made)
    throw error
  } finally {
    disposeGradients(gradients)
  }
}

/** The loss of an update, and the gradients of the trained parameters, to which a regulariser's are added. */
const lossAndGradients = <E, R>(
  training: Training<E, R>,
  phase: Phase,
  update: number,
): { readonly loss: tf.Scalar; readonly gradients: Gradients } => {
  const { parameters, start, loss } = training
  const { regulariser } = phase
  const trained = [...phase.multipliers.keys()]
  const { value, gradients } = valueAndGradients(
    () => loss(update, parametersIn(training, phase, update)),
    parameters,
    trained,
  )
  if (regulariser === undefined) return { loss: value, gradients }
  const regularised = new Map<string, tf.Tensor>()
  for (const name of trained) {
    const sum = tf.tidy(() => {
      const anchor = start?.has(name) ? start.get(name) : undefined
      const penalty = regulariser.gradient(parameters.get(name), anchor)
      const gradient = gradients.get(name)
      return gradient === undefined ? penalty : tf.add(gradient, penalty)
    })
    regularised.set(name, sum)
  }
  disposeGradients(gradients)
  return { loss: value, gradients: regularised }
}

/** What the loss of an update is computed with. */
const parametersIn = <E, R>(
  { parameters, start }: Training<E, R>,
  { parametrised }: Phase,
  iteration: number,
): Parameters => {
  if (parametrised === undefined) return parameters
  if (start === undefined) throw new RangeError("a parametrisation needs the parameters before training")
  const { by, sites, stream } = parametrised
  const replaced = new Map<string, tf.Tensor>()
  for (const [name, site] of sites) {
    const draw = { stream, site, iteration }
    const weight = tf.tidy(() => by.weight(parameters.get(name), start.get(name), draw))
    replaced.set(name, weight)
  }
  return parameters.replacing(replaced)
}
