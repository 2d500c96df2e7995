/** Training: an optimiser's updates by a schedule, which can be stopped between any two updates and resumed. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { UnitFailure } from "../api/failure.ts"
import { Progress } from "../api/progress.ts"
import { elapsedMillis } from "../io/clock.ts"
import type { InvalidInput } from "../io/decode.ts"
import type { FileError } from "../io/files.ts"
import { clippingScale, globalNorm } from "./ops/global-norm.ts"
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

  const save = Effect.suspend(() => saveTraining(scratch, state))
  const visit = Effect.suspend(() => {
    const { step } = state
    return at?.(step, metricsBefore({ ...state, learningRate: learningRates }, step)) ?? Effect.void
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
    let nextSave = (yield* elapsedMillis) + savePeriod
    while (state.step < until) {
      const update = state.step
      enter(phaseOf(phases, update))
      const { loss, gradientNorm, made } = makeUpdate(training, phase, optimiser, update)
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
      }),
    ),
  )
  return {
    loss: state.loss.subarray(0, until),
    learningRate: learningRates.subarray(0, until),
    gradientNorm: state.gradientNorm.subarray(0, until),
  }
})

/** One update, which is not made if the loss or the gradient norm is not finite. */
const makeUpdate = <E, R>(
  training: Training<E, R>,
  phase: Phase,
  state: OptimiserState,
  update: number,
): { readonly loss: number; readonly gradientNorm: number; readonly made: boolean } => {
  const { parameters, learningRates } = training
  const { optimiser, multipliers, since, clip } = phase
  const { loss, gradients } = lossAndGradients(training, phase, update)
  const gradientNorm = globalNorm(gradients)
  const made = Number.isFinite(loss) && Number.isFinite(gradientNorm)
  if (made) {
    updateParameters(optimiser, parameters, gradients, state, {
      gradientScale: clippingScale(gradientNorm, clip),
      learningRate: (name) => learningRates[update]! * multipliers.get(name)!,
      step: (name) => update + 1 - since.get(name)!,
    })
  }
  disposeGradients(gradients)
  return { loss, gradientNorm, made }
}

/** The loss of an update, and the gradients of the trained parameters, to which a regulariser's are added. */
const lossAndGradients = <E, R>(
  training: Training<E, R>,
  phase: Phase,
  update: number,
): { readonly loss: number; readonly gradients: Gradients } => {
  const { parameters, start, loss } = training
  const { regulariser } = phase
  const trained = [...phase.multipliers.keys()]
  const { value, gradients } = valueAndGradients(
    () => loss(update, parametersIn(training, phase, update)),
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
