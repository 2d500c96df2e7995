/** Training: an optimiser's updates by a schedule, which can be stopped between any two updates and resumed. */
import * as tf from "@tensorflow/tfjs-core"
import { Clock, Effect } from "effect"
import { UnitFailure } from "../api/failure.ts"
import { Progress } from "../api/progress.ts"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"
import { clippingScale, globalNorm } from "./ops/global-norm.ts"
import { initialState, type OptimiserFunctions, type OptimiserState, updateParameters } from "./optimiser.ts"
import { disposeGradients, type Gradients, type Parameters, valueAndGradients } from "./parameters.ts"
import type { ParametrisationFunctions } from "./parametrisation.ts"
import type { RegulariserFunctions } from "./regulariser.ts"
import type { Stream } from "./stream.ts"
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

/** The weights that a parametrisation replaces in every update. */
export interface Parametrised {
  readonly by: ParametrisationFunctions
  /** The site of the stream that each of the weights draws from, by its name. They must be in `start`. */
  readonly sites: ReadonlyMap<string, number>
  readonly stream: Stream
}

export interface Training<E, R> {
  /** Updated in place; the caller still owns them. */
  readonly parameters: Parameters
  /** [steps], one for each update: their number is the length of training. */
  readonly learningRates: Float64Array
  readonly optimiser: OptimiserFunctions
  /**
   * What the learning rate of each trained parameter is multiplied by. Parameters that are not named are frozen: they
   * have no gradient and no state. By default all are trained, with 1.
   */
  readonly multipliers?: ReadonlyMap<string, number> | undefined
  /**
   * Parameters as they were before training, without those that were drawn at random, for a regulariser or a
   * parametrisation. They are not part of the saved state; the caller still owns them.
   */
  readonly start?: Parameters | undefined
  readonly regulariser?: RegulariserFunctions | undefined
  readonly parametrised?: Parametrised | undefined
  /** Gradients whose norm exceeds this are scaled down to it; Infinity: never. */
  readonly clip: number
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
   * @param last the metrics of the update that led here; undefined at step 0
   */
  readonly at?: (step: number, last: UpdateMetrics | undefined) => Effect.Effect<void, E, R>
}

/** A state is saved this often (milliseconds), but saving takes at most a twentieth of the time. */
const savePeriod = 60_000
const saveEvery = 20

/**
 * Trains: each update computes the loss and its gradients, clips their norm and applies the optimiser.
 *
 * An update runs without a pause; the fibre yields between updates, and an interruption takes effect there. The state
 * (trained parameters, the optimiser's tensors, metrics) is saved in `scratch` on interruption and every minute. If a
 * state is found there, training resumes from it, and gives the same bits as if it had never been stopped.
 *
 * @returns the metrics of all updates that were made, including those before a stop
 * @throws UnitFailure with the outcome `diverged` and the step that was reached, as soon as the loss or the gradient norm
 *   of the next update is not finite; that update is not made
 */
export const train = Effect.fnUntraced(function* <E = never, R = never>(
  training: Training<E, R>,
): Effect.fn.Return<Metrics, E | FileError | InvalidInput | UnitFailure, R | Progress> {
  const { parameters, learningRates, scratch, at } = training
  const progress = yield* Progress
  const total = learningRates.length
  const until = Math.min(training.until ?? total, total)
  const multipliers = multipliersOf(training)
  const optimiser = initialState(training.optimiser, parameters, multipliers.keys())
  let state: TrainingState = {
    parameters,
    trained: [...multipliers.keys()],
    optimiser,
    step: 0,
    loss: new Float64Array(total),
    gradientNorm: new Float64Array(total),
  }

  const save = Effect.suspend(() => saveTraining(scratch, state))
  const visit = Effect.suspend(() => {
    const { step } = state
    return at?.(step, metricsBefore({ ...state, learningRate: learningRates }, step)) ?? Effect.void
  })

  const load = Effect.map(loadTraining(scratch, state, until), (step) => {
    state = { ...state, step }
  })

  const loop = Effect.gen(function* () {
    yield* visit
    let nextSave = (yield* Clock.currentTimeMillis) + savePeriod
    while (state.step < until) {
      const update = state.step
      const { loss, gradientNorm, made } = makeUpdate(training, multipliers, optimiser, update)
      if (!made) {
        const reason = Number.isFinite(loss) ? `the gradient norm is ${gradientNorm}` : `the loss is ${loss}`
        return yield* new UnitFailure({ outcome: "diverged", reason, step: update })
      }
      state.loss[update] = loss
      state.gradientNorm[update] = gradientNorm
      state = { ...state, step: update + 1 }
      yield* progress.report(update + 1, until, `loss ${loss.toFixed(4)}`)
      yield* Effect.yieldNow
      yield* visit
      const now = yield* Clock.currentTimeMillis
      if (now >= nextSave) {
        yield* save
        const saved = yield* Clock.currentTimeMillis
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
      }),
    ),
  )
  return {
    loss: state.loss.subarray(0, until),
    learningRate: learningRates.subarray(0, until),
    gradientNorm: state.gradientNorm.subarray(0, until),
  }
})

/** The multiplier of each trained parameter, in the order of the parameters. */
const multipliersOf = <E, R>({ parameters, multipliers }: Training<E, R>): ReadonlyMap<string, number> =>
  new Map(
    parameters.names.flatMap((name) => {
      const multiplier = multipliers === undefined ? 1 : multipliers.get(name)
      return multiplier === undefined ? [] : [[name, multiplier] as const]
    }),
  )

/** One update, which is not made if the loss or the gradient norm is not finite. */
const makeUpdate = <E, R>(
  training: Training<E, R>,
  multipliers: ReadonlyMap<string, number>,
  state: OptimiserState,
  update: number,
): { readonly loss: number; readonly gradientNorm: number; readonly made: boolean } => {
  const { parameters, learningRates, optimiser, clip } = training
  const { loss, gradients } = lossAndGradients(training, [...multipliers.keys()], update)
  const gradientNorm = globalNorm(gradients)
  const made = Number.isFinite(loss) && Number.isFinite(gradientNorm)
  if (made) {
    updateParameters(optimiser, parameters, gradients, state, {
      gradientScale: clippingScale(gradientNorm, clip),
      learningRate: (name) => learningRates[update]! * multipliers.get(name)!,
      step: update + 1,
    })
  }
  disposeGradients(gradients)
  return { loss, gradientNorm, made }
}

/** The loss of an update, and the gradients of the trained parameters, to which a regulariser's are added. */
const lossAndGradients = <E, R>(
  training: Training<E, R>,
  trained: readonly string[],
  update: number,
): { readonly loss: number; readonly gradients: Gradients } => {
  const { parameters, start, regulariser, loss } = training
  const { value, gradients } = valueAndGradients(
    () => loss(update, parametersIn(training, update)),
    parameters,
    trained,
  )
  const measured = value.dataSync()[0]!
  value.dispose()
  if (regulariser === undefined) return { loss: measured, gradients }
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
  return { loss: measured, gradients: regularised }
}

/** What the loss of an update is computed with. */
const parametersIn = <E, R>(
  { parameters, start, parametrised }: Training<E, R>,
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
