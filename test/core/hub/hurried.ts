import { Clock, Duration, Effect } from "effect"

/** How many times as fast the clock goes: the pauses between attempts get short, and the time limits stay bearable. */
const speed = 20

/**
 * Runs an effect with a clock by which all pauses and time limits are shorter.
 *
 * @param sleeps receives how long each was meant to be, ms
 */
export const hurried = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  sleeps: number[] = [],
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Clock.Clock, (clock) => {
    const faster: Clock.Clock = {
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
      currentTimeMillis: clock.currentTimeMillis,
      currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
      currentTimeNanos: clock.currentTimeNanos,
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      sleep: (duration) => {
        sleeps.push(Duration.toMillis(duration))
        return clock.sleep(Duration.millis(Duration.toMillis(duration) / speed))
      },
    }
    return Effect.provideService(effect, Clock.Clock, faster)
  })
