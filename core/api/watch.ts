import type { Effect, Exit } from "effect"

/** How long a run is. */
export interface RunLength {
  /** The number of updates. */
  readonly steps: number
  /** The number of updates over which the learning rate rises. */
  readonly warmupSteps: number
}

/** What a run costs that is run again only for its probes: updates, up to the last step that one of them observes. */
export interface Replay {
  readonly length: RunLength
  /** Floating-point operations of an update, on average. */
  readonly flopsPerStep: number
}

/**
 * What of a run its probes can reach, and must leave as it is. `guardOf` of `core/tensor/guard.ts` makes one for
 * parameters and arrays.
 */
export interface Guard {
  /**
   * A digest of every part by its name for people, such as `the parameter classifier.weight`; a part that is gone is
   * missing. Called before and after each observation, so it reads every bit once and does nothing else.
   */
  readonly digests: Effect.Effect<ReadonlyMap<string, number | string>>
  /** Runs an observation and disposes of the tensors that it leaves behind, also if it fails; gives their number too. */
  readonly enclose: <A, E, R>(
    observation: Effect.Effect<A, E, R>,
  ) => Effect.Effect<{ readonly ended: Exit.Exit<A, E>; readonly left: number }, never, R>
}

/**
 * The probes that watch a run, as the plugin that makes the run sees them. It calls `start` once, `at` before the
 * first update and after each one, and `end` after the last:
 *
 * ```ts
 * yield* watch.start({ steps, warmupSteps }, guardOf({ parameters, arrays: {} }))
 * const until = watch.wanted ? steps : Math.max(0, watch.last())
 * yield* watch.at(0, view(0))
 * for (let step = 1; step <= until; step++) {
 *   update()
 *   if (watch.wants(step)) yield* watch.at(step, view(step))
 * }
 * yield* watch.end(view(until))
 * ```
 *
 * Observations are saved at once, so a run that is resumed does not make them again. If a probe changes what is
 * guarded, the call that let it do so never returns (it dies), and the engine makes the run again without that probe.
 * So a run saves a state to resume from only between such calls, and after `settled`, as `train` does.
 *
 * @typeParam View what the run lets probes see, such as `ClassifierView` of `plugins/model`
 */
export interface Watch<in View> {
  /** Whether the run's own artifact is needed. If not, the run may stop after step `last()`. */
  readonly wanted: boolean
  /** Called once, before the first update: probes choose their steps by the length of the run. */
  readonly start: (run: RunLength, guard: Guard) => Effect.Effect<void>
  /** The last step that a probe still needs: the end of the run if it has a `finish`; −1 if none. Known after `start`. */
  readonly last: () => number
  /** Whether a probe observes `step` and has not done so yet. Cheap. */
  readonly wants: (step: number) => boolean
  /** Lets the probes that want `step` observe the model. A probe that fails observes no more; the run continues. */
  readonly at: (step: number, view: View) => Effect.Effect<void>
  /**
   * Waits for what observations have left to be done beside the run. To be called before a state is saved to resume from:
   * a run that is resumed does not make the observations before it again.
   */
  readonly settled: Effect.Effect<void>
  /** Lets the probes that have a `finish` see the model at the end of the run. */
  readonly end: (view: View) => Effect.Effect<void>
}
