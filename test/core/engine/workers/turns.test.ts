import { expect, test } from "bun:test"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Turns } from "../../../../core/engine/workers/turns.ts"

/** Takes turns in a test's time; `at` tells which began when, at which place. */
const taking = (places: readonly string[]) => {
  const turns = new Turns(places)
  const begun: string[] = []
  const turn = (name: string, seconds: number, alone = false) =>
    turns.take(alone, (place) =>
      Effect.andThen(
        Effect.clockWith((clock) =>
          Effect.map(clock.currentTimeMillis, (now) => begun.push(`${name} ${now / 1000} ${place}`)),
        ),
        Effect.sleep(`${seconds} seconds`),
      ),
    )
  return { turns, begun, turn }
}

const inTestTime = <A>(body: Effect.Effect<A>) => Effect.runPromise(Effect.provide(body, TestClock.layer()))

test("as many turns as places go on, in the order in which they were asked for", () => {
  const { begun, turn } = taking(["A", "B"])
  return inTestTime(
    Effect.gen(function* () {
      for (const [name, seconds] of [
        ["one", 3] as const,
        ["two", 1] as const,
        ["three", 1] as const,
        ["four", 1] as const,
      ])
        yield* Effect.forkChild(turn(name, seconds), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      expect(begun).toEqual(["one 0 A", "two 0 B", "three 1 B", "four 2 B"])
    }),
  )
})

test("who must be alone waits for those that go on only, and those who come later wait for it", () => {
  const { begun, turn } = taking(["A", "B", "C"])
  return inTestTime(
    Effect.gen(function* () {
      /** A job after the other, as long as there are any: there is always one that is ready. */
      const others = (name: string, seconds: number) =>
        Effect.forEach([1, 2, 3, 4, 5], (i) => turn(`${name}${i}`, seconds), { discard: true })
      yield* Effect.forkChild(others("a", 2), { startImmediately: true })
      yield* Effect.forkChild(others("b", 3), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Effect.forkChild(turn("alone", 4, true), { startImmediately: true })
      yield* TestClock.adjust("60 seconds")
      expect(begun.slice(0, 3)).toEqual(["a1 0 A", "b1 0 B", "alone 3 B"])
      // They begin at the same time.
      expect(begun.slice(3, 5).sort()).toEqual(["a2 7 B", "b2 7 A"])
      expect(begun).toHaveLength(11)
    }),
  )
})

test("who gives up waiting, or is interrupted, keeps nobody out", () => {
  const { begun, turn } = taking(["A", "B"])
  return inTestTime(
    Effect.gen(function* () {
      const going = yield* Effect.forkChild(turn("going", 1000), { startImmediately: true })
      const alone = yield* Effect.forkChild(turn("alone", 1, true), { startImmediately: true })
      yield* Effect.forkChild(turn("later", 1000), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      expect(begun).toEqual(["going 0 A"])
      yield* Fiber.interrupt(alone)
      yield* TestClock.adjust("1 second")
      expect(begun).toEqual(["going 0 A", "later 1 B"])
      yield* Effect.forkChild(turn("last", 1), { startImmediately: true })
      yield* Fiber.interrupt(going)
      yield* TestClock.adjust("1 second")
      expect(begun).toEqual(["going 0 A", "later 1 B", "last 2 A"])
    }),
  )
})

test("a place that is left out is not used again, also not by who waits to be alone", () => {
  const { turns, begun, turn } = taking(["A", "B"])
  return inTestTime(
    Effect.gen(function* () {
      const leaving = turns.take(false, (place) =>
        Effect.andThen(
          Effect.sleep("1 second"),
          Effect.sync(() => turns.leaveOut(place)),
        ),
      )
      const left = yield* Effect.forkChild(leaving, { startImmediately: true })
      yield* Effect.forkChild(turn("beside", 2), { startImmediately: true })
      yield* Effect.forkChild(turn("alone", 1, true), { startImmediately: true })
      yield* Effect.forkChild(turn("after", 1), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(left)
      expect(turns.left).toBe(1)
      expect(begun).toEqual(["beside 0 B", "alone 2 B", "after 3 B"])
    }),
  )
})
