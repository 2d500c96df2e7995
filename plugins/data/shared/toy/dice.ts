import { integers, type Stream } from "../../../../core/tensor/stream.ts"

/** Choices in a row, each from the next numbers of a stream. */
export interface Dice {
  /** An integer in [0, bound). */
  readonly below: (bound: number) => number
  /** True `percent` times of a hundred. */
  readonly chance: (percent: number) => boolean
  /** @throws RangeError where there is nothing to pick from */
  readonly pick: <T>(items: readonly T[]) => T
}

const blockLength = 64
const range = 2 ** 31

/**
 * The choices of item `site` of a stream: those of one item do not move those of the next, so that the first
 * thousand sentences are the same, however many are asked for.
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
