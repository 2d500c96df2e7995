import { Effect } from "effect"
import { stream } from "../../../../core/tensor/stream.ts"
import { type Dice, dice } from "./dice.ts"

/** Options of the toy data: the seed, and how many items to draw. */
export const seedOption = "0 <= number.integer <= 4294967295 = 42"
export const countOption = "1 <= number.integer <= 10000000"

/** Draws items 0 to `count` − 1 of a stream; yields now and then, so that it can be interrupted. */
export const drawAll = Effect.fnUntraced(function* <T>(
  seed: number,
  name: string,
  count: number,
  draw: (dice: Dice) => T,
) {
  const items: T[] = []
  for (let item = 0; item < count; item++) {
    items.push(draw(dice(stream(seed, name), item)))
    if (item % 1000 === 999) yield* Effect.yieldNow
  }
  return items
})
