/** Training: AdamW updates by a schedule, which can be stopped between any two updates and resumed. */
import type * as tf from "@tensorflow/tfjs-core"
import { Clock, Effect } from "effect"
import { UnitFailure } from "../api/failure.ts"
import { Progress } from "../api/progress.ts"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"
import { type AdamWOptions, type AdamWState, adamwInit, adamwStep } from "./ops/adamw.ts"
import { clippingScale, globalNorm } from "./ops/global-norm.ts"
import { disposeGradients, type Parameters, valueAndGradients } from "./parameters.ts"
import { loadTraining, saveTraining, type TrainingState } from "./training-state.ts"

/** AdamW's settings throughout training, in which only the learning rate changes with every update. */
export type Optimiser = Omit<AdamWOptions, "learningRate" | "gradientScale">

/** What was measured in an update. */
export interface UpdateMetrics {
  /** Before the update, with dropout. */
  readonly loss: number
  readonly learningRate: number
  /** Euclidean norm of all gradients, before clipping. */
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

export interface Training<E, R> {
  /** Updated in place; the caller still owns them. */
  readonly parameters: Parameters
  /** [steps], one for each update: their number is the length of training. */
  readonly learningRates: Float64Array
  readonly optimiser: Optimiser
  /** Gradients whose norm exceeds this are scaled down to it; Infinity: never. */
  readonly clip: number
  /**
   * The loss of update `update` (from 0), computed under the tape, with dropout. Must follow from the parameters and the
   * index of the update alone, so that training gives the same bits when it is resumed.
   */
  readonly loss: (update: number) => tf.Scalar
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
 * Trains: each update computes the loss and its gradients, clips their norm and applies AdamW.
 *
 * An update runs without a pause; the fibre yields between updates, and an interruption takes effect there. The state
 * (parameters, moments, metrics) is saved in `scratch` on interruption and every minute. If a state is found there,
 * training resumes from it, and gives the same bits as if it had never been stopped.
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
  let state: TrainingState = {
    parameters,
    optimiser: adamwInit(parameters),
    loss: new Float64Array(total),
    gradientNorm: new Float64Array(total),
  }

  const save = Effect.suspend(() => saveTraining(scratch, state))
  const visit = Effect.suspend(() => {
    const { step } = state.optimiser
    return at?.(step, metricsBefore({ ...state, learningRate: learningRates }, step)) ?? Effect.void
  })

  const load = Effect.map(loadTraining(scratch, state, until), (optimiser) => {
    state = { ...state, optimiser }
  })

  const loop = Effect.gen(function* () {
    yield* visit
    let nextSave = (yield* Clock.currentTimeMillis) + savePeriod
    while (state.optimiser.step < until) {
      const update = state.optimiser.step
      const { loss, gradientNorm, next } = makeUpdate(training, state.optimiser)
      if (next === undefined) {
        const reason = Number.isFinite(loss) ? `the gradient norm is ${gradientNorm}` : `the loss is ${loss}`
        return yield* new UnitFailure({ outcome: "diverged", reason, step: update })
      }
      state.loss[update] = loss
      state.gradientNorm[update] = gradientNorm
      state = { ...state, optimiser: next }
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
        state.optimiser.m.dispose()
        state.optimiser.v.dispose()
      }),
    ),
  )
  return {
    loss: state.loss.subarray(0, until),
    learningRate: learningRates.subarray(0, until),
    gradientNorm: state.gradientNorm.subarray(0, until),
  }
})

/** One update; `next` is undefined if the loss or the gradient norm is not finite. */
const makeUpdate = <E, R>(
  { parameters, learningRates, optimiser, clip, loss }: Training<E, R>,
  state: AdamWState,
): { readonly loss: number; readonly gradientNorm: number; readonly next: AdamWState | undefined } => {
  const update = state.step
  const { value, gradients } = valueAndGradients(() => loss(update), parameters)
  const measured = value.dataSync()[0]!
  value.dispose()
  const gradientNorm = globalNorm(gradients)
  const finite = Number.isFinite(measured) && Number.isFinite(gradientNorm)
  const next = finite
    ? adamwStep(parameters, gradients, state, {
        ...optimiser,
        learningRate: learningRates[update]!,
        gradientScale: clippingScale(gradientNorm, clip),
      })
    : undefined
  disposeGradients(gradients)
  return { loss: measured, gradientNorm, next }
}
