/**
 * Work on a store and `store gc --delete` keep out of each other's way: each says that it is there and then looks for
 * the other. Of two that come at once, work waits and gc removes nothing.
 */
import { Effect } from "effect"
import type { FileError } from "../../io/files.ts"
import { describeOwner, type OwnerSeen, Owners } from "./owners.ts"

const lookEvery = "200 millis"

/**
 * Begins work on the store, once nobody removes anything from it.
 *
 * @param tell receives whom it waits for
 */
export const beginWork = Effect.fnUntraced(function* (
  tell: (line: string) => void,
): Effect.fn.Return<void, FileError, Owners> {
  const owners = yield* Owners
  yield* owners.self
  let told = false
  while (true) {
    const collector = (yield* owners.all).find(({ role, life }) => role === "collector" && life !== "gone")
    if (collector === undefined) return
    if (!told) tell(`${describeOwner(collector)} removes what nothing needs from the store: waiting`)
    told = true
    yield* Effect.sleep(lookEvery)
  }
})

/** A process of another host shows much more often than this that it lives, ms. */
const longestSilence = 3600 * 1000

/**
 * Begins to remove from the store.
 *
 * @returns the processes that are, or may be, at work on it: if there are any, nothing may be removed
 */
export const beginCollecting: Effect.Effect<readonly OwnerSeen[], FileError, Owners> = Effect.gen(
  function* () {
    const owners = yield* Owners
    yield* owners.self
    return (yield* owners.all).filter(
      ({ role, life, seen }) =>
        role !== "collector" &&
        (life === "alive" || (life === "unknown" && Date.now() - seen.getTime() < longestSilence)),
    )
  },
)
