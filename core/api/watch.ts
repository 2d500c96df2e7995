import type { Effect } from "effect"

/** How long a run is: in updates, and of them those over which the learning rate rises. */
export interface RunLength {
  readonly steps: number
  readonly warmupSteps: number
}

/**
 * The probes that watch a run, as the run sees them: it calls `at` before its first update and after each, with what
 * they may see of it.
 *
 * @typeParam View what the run shows
 */
export interface Watch<in View> {
  /** Whether the run's own artifact is wanted; if not, the run may stop after step `last()`. */
  readonly wanted: boolean
  /** Called once, before the first step: tells the observers how long the run is. */
  readonly start: (run: RunLength) => Effect.Effect<void>
  /** The last step that an observer wants to see, −1 where none does. Known after `start`. */
  readonly last: () => number
  /** Whether an observer wants to see the model at `step` and has not yet. Cheap. */
  readonly wants: (step: number) => boolean
  /** Shows the model to the observers that want `step`. An observer that fails stops observing; the run goes on. */
  readonly at: (step: number, view: View) => Effect.Effect<void>
  /** Shows the model at the end of the run to the observers that have something to finish. */
  readonly end: (view: View) => Effect.Effect<void>
}
