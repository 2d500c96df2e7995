import type { Effect } from "effect"

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
 * The probes that watch a run, as the plugin that makes the run sees them. It calls `start` once, `at` before the
 * first update and after each one, and `end` after the last:
 *
 * ```ts
 * yield* watch.start({ steps, warmupSteps })
 * const until = watch.wanted ? steps : Math.max(0, watch.last())
 * yield* watch.at(0, view(0))
 * for (let step = 1; step <= until; step++) {
 *   update()
 *   if (watch.wants(step)) yield* watch.at(step, view(step))
 * }
 * yield* watch.end(view(until))
 * ```
 *
 * Observations are saved at once, so a run that is resumed does not make them again.
 *
 * @typeParam View what the run lets probes see, such as `ClassifierView` of `plugins/model`
 */
export interface Watch<in View> {
  /** Whether the run's own artifact is needed. If not, the run may stop after step `last()`. */
  readonly wanted: boolean
  /** Called once, before the first update: probes choose their steps by the length of the run. */
  readonly start: (run: RunLength) => Effect.Effect<void>
  /** The last step that a probe still needs: the end of the run if it has a `finish`; −1 if none. Known after `start`. */
  readonly last: () => number
  /** Whether a probe observes `step` and has not done so yet. Cheap. */
  readonly wants: (step: number) => boolean
  /** Lets the probes that want `step` observe the model. A probe that fails observes no more; the run continues. */
  readonly at: (step: number, view: View) => Effect.Effect<void>
  /** Lets the probes that have a `finish` see the model at the end of the run. */
  readonly end: (view: View) => Effect.Effect<void>
}
