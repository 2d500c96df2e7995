import { Clock, Duration, Effect } from "effect"

/** How many times as fast the clock goes: the pauses between attempts get short, and the time limits stay bearable. */
const speed = 20

let skipped = 0n

/** So many ms have passed, for hurried effects that run or begin. */
export const skipTime = (milliseconds: number): void => {
  skipped += BigInt(milliseconds) * 1_000_000n
}

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
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + skipped,
      monotonicTimeNanos: Effect.map(clock.monotonicTimeNanos, (now) => now + skipped),
      sleep: (duration) => {
        sleeps.push(Duration.toMillis(duration))
        return clock.sleep(Duration.millis(Duration.toMillis(duration) / speed))
      },
    }
    return Effect.provideService(effect, Clock.Clock, faster)
  })
