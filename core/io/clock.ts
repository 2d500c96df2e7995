/** Time that passes: the clock of the day may be set back or forth meanwhile. */
import { Clock, Effect } from "effect"

/** Milliseconds since some moment, for differences alone. */
export const elapsedMillis: Effect.Effect<number> = Effect.map(
  Clock.monotonicTimeNanos,
  (nanoseconds) => Number(nanoseconds) / 1e6,
)
