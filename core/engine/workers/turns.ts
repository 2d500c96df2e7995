import { Effect } from "effect"

interface Waiting {
  readonly alone: boolean
  wake: () => void
}

/**
 * Places at which jobs take turns, one job at a time each. Who comes first is served first. So a job that must run alone
 * waits only for those that run already: nobody who comes later is let in before it. (A semaphore would serve them
 * first, since each needs less.)
 */
export class Turns<Place> {
  private readonly free: Place[]
  private readonly leftOut = new Set<Place>()
  private readonly waiting: Waiting[] = []
  private taken = 0
  private takenAlone = false

  constructor(private readonly places: readonly Place[]) {
    this.free = places.toReversed()
  }

  /**
   * Waits for a turn, and gives it back once what `use` does there has ended. The place that was used last is the first
   * to be used again.
   *
   * @param alone whether no other turn may go on meanwhile
   */
  take<A, E, R>(alone: boolean, use: (place: Place) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const turn: Waiting = { alone, wake: () => {} }
      const begin = () => {
        this.leave(turn)
        this.taken++
        this.takenAlone = alone
        const place = this.free.pop()!
        this.wakeFirst()
        return place
      }
      const end = (place: Place) => {
        this.taken--
        this.takenAlone = false
        if (!this.leftOut.has(place)) this.free.push(place)
        this.wakeFirst()
      }
      const first = Effect.callback<void>((resume) => {
        turn.wake = () => resume(Effect.void)
        this.waiting.push(turn)
        this.wakeFirst()
      })
      return Effect.uninterruptibleMask((restore) =>
        restore(first).pipe(
          Effect.onInterrupt(() =>
            Effect.sync(() => {
              this.leave(turn)
              this.wakeFirst()
            }),
          ),
          // Nothing comes between: the first stays the first until it has begun.
          Effect.andThen(Effect.sync(begin)),
          Effect.flatMap((place) =>
            Effect.ensuring(
              restore(use(place)),
              Effect.sync(() => end(place)),
            ),
          ),
        ),
      )
    })
  }

  /** Has no job use a place any more once the turn there has ended. It must not be the last one. */
  leaveOut(place: Place): void {
    this.leftOut.add(place)
  }

  /** How many places are not left out. */
  get left(): number {
    return this.places.length - this.leftOut.size
  }

  private leave(turn: Waiting) {
    const at = this.waiting.indexOf(turn)
    if (at >= 0) this.waiting.splice(at, 1)
  }

  private wakeFirst() {
    const [first] = this.waiting
    if (first === undefined || this.takenAlone) return
    if (first.alone ? this.taken === 0 : this.free.length > 0) first.wake()
  }
}
