import { Effect } from "effect"
import { stream } from "../../../../core/tensor/stream.ts"
import { type Dice, dice } from "./dice.ts"

/** Options of what is drawn: by which seed, and how many. */
export const seedOption = "0 <= number.integer <= 4294967295 = 42"
export const countOption = "1 <= number.integer <= 10000000"

/** Items 0, 1, … of a stream, in turn with whatever else wants to run. */
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
