/** Training: updates of AdamW by a schedule, one after another, that can be stopped anywhere and gone on with. */
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

/** AdamW as it is for the whole of a training; the learning rate changes with every update. */
export type Optimiser = Omit<AdamWOptions, "learningRate" | "gradientScale">

/** What was measured in an update. */
export interface Update {
  /** Before the update, with dropout. */
  readonly loss: number
  readonly learningRate: number
  /** Euclidean norm of all gradients, before clipping. */
  readonly gradientNorm: number
}

/** The same for all updates, [updates] each; update s (from 0) saw the model after s updates. */
export type Metrics = { readonly [M in keyof Update]: Float64Array }

/** The update that led to the model after `steps` updates; undefined at 0. */
export const lastUpdate = (metrics: Metrics, steps: number): Update | undefined =>
  steps === 0
    ? undefined
    : {
        loss: metrics.loss[steps - 1]!,
        learningRate: metrics.learningRate[steps - 1]!,
        gradientNorm: metrics.gradientNorm[steps - 1]!,
      }

export interface Training<E, R> {
  /** Updated in place; they stay the caller's. */
  readonly parameters: Parameters
  /** [updates]: their number is the length of the training. */
  readonly learningRates: Float64Array
  readonly optimiser: Optimiser
  /** Gradients whose norm exceeds this are scaled down to it; Infinity: never. */
  readonly clip: number
  /**
   * The loss of update `step` (from 0), built under the tape, with dropout. Follows from the parameters and the step
   * alone, so that a resumed training gives the same bits.
   */
  readonly loss: (step: number) => tf.Scalar
  /** A folder where the state is kept while the training is stopped. */
  readonly scratch: string
  /** Stops after so many updates; all of them where left out. */
  readonly until?: number
  /**
   * Called with the model after `steps` updates: before the first one (0), after each, and on resuming once more for
   * the step resumed from, so doing it twice must do no harm. May look at the model, and must not change it.
   *
   * @param last the update that led here; undefined at 0
   */
  readonly at?: (steps: number, last: Update | undefined) => Effect.Effect<void, E, R>
}

/** A state is saved this often (milliseconds), but saving takes at most a twentieth of the time. */
const savePeriod = 60_000
const saveShare = 20

/**
 * Trains: for each update the loss and its gradients, their norm clipped, and AdamW.
 *
 * An update runs without a pause, and between two of them the fibre yields, so an interruption is noticed there. The
 * state (parameters, moments, metrics) is saved in `scratch` on interruption and every minute; a training that finds
 * one there goes on from it and gives the same bits as one that was never stopped.
 *
 * @returns the metrics of the updates that were made, those before a stop included
 * @throws UnitFailure with the outcome `diverged` and the step of the update (from 0), as soon as its loss or gradient
 *   norm is not finite; that update is not made
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
    const steps = state.optimiser.updates
    return at?.(steps, lastUpdate({ ...state, learningRate: learningRates }, steps)) ?? Effect.void
  })

  const load = Effect.map(loadTraining(scratch, state, until), (optimiser) => {
    state = { ...state, optimiser }
  })

  const loop = Effect.gen(function* () {
    yield* visit
    let nextSave = (yield* Clock.currentTimeMillis) + savePeriod
    while (state.optimiser.updates < until) {
      const step = state.optimiser.updates
      const { loss, gradientNorm, next } = update(training, state.optimiser)
      if (next === undefined) {
        const reason = Number.isFinite(loss) ? `the gradient norm is ${gradientNorm}` : `the loss is ${loss}`
        return yield* new UnitFailure({ outcome: "diverged", reason, step })
      }
      state.loss[step] = loss
      state.gradientNorm[step] = gradientNorm
      state = { ...state, optimiser: next }
      yield* progress.report(step + 1, until, `loss ${loss.toFixed(4)}`)
      yield* Effect.yieldNow
      yield* visit
      const now = yield* Clock.currentTimeMillis
      if (now >= nextSave) {
        yield* save
        const saved = yield* Clock.currentTimeMillis
        nextSave = saved + Math.max(savePeriod, saveShare * (saved - now))
      }
    }
  }).pipe(
    Effect.onInterrupt(() =>
      Effect.catch(save, (error) =>
        Effect.logWarning(`the training's state was not saved: ${error.message}`),
      ),
    ),
  )

  // An interruption while a state is read must not save the half of it, so only the loop saves.
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

/** One update; there is no `next` state where the loss or the gradient norm is not finite. */
const update = <E, R>(
  { parameters, learningRates, optimiser, clip, loss }: Training<E, R>,
  state: AdamWState,
): { readonly loss: number; readonly gradientNorm: number; readonly next: AdamWState | undefined } => {
  const step = state.updates
  const { value, gradients } = valueAndGradients(() => loss(step), parameters)
  const measured = value.dataSync()[0]!
  value.dispose()
  const gradientNorm = globalNorm(gradients)
  const finite = Number.isFinite(measured) && Number.isFinite(gradientNorm)
  const next = finite
    ? adamwStep(parameters, gradients, state, {
        ...optimiser,
        learningRate: learningRates[step]!,
        gradientScale: clippingScale(gradientNorm, clip),
      })
    : undefined
  disposeGradients(gradients)
  return { loss: measured, gradientNorm, next }
}
