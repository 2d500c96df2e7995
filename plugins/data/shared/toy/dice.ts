import { integers, type Stream } from "../../../../core/tensor/stream.ts"

/** Successive random choices, each from the next number of a stream. */
export interface Dice {
  /** An integer in [0, bound). */
  readonly below: (bound: number) => number
  /** True with a probability of `percent` %. */
  readonly chance: (percent: number) => boolean
  /** @throws RangeError if `items` is empty */
  readonly pick: <T>(items: readonly T[]) => T
}

const blockLength = 64
const range = 2 ** 31

/**
 * The choices for item `site` of a stream. Items do not affect each other, so the first thousand sentences are the
 * same however many are drawn.
 */
export const dice = (stream: Stream, site: number): Dice => {
  let block = new Int32Array(0)
  let blocks = 0
  let used = 0
  const below = (bound: number): number => {
    if (used === block.length) {
      block = Int32Array.from(integers({ stream, site, iteration: blocks }, blockLength, range))
      blocks += 1
      used = 0
    }
    const number = block[used]!
    used += 1
    return Math.floor((number / range) * bound)
  }
  return {
    below,
    chance: (percent) => below(100) < percent,
    pick: (items) => {
      if (items.length === 0) throw new RangeError("there is nothing to pick from")
      return items[below(items.length)]!
    },
  }
}
