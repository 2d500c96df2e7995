/** How many nodes a pipeline may have, counted while its file builds them: a slip in a range is refused at once. */
import { InvalidInput } from "../io/decode.ts"

/** More are considered a typing error: planning alone would take minutes and gigabytes. */
export const mostNodes = 500_000

/** While a pipeline is built: how many nodes there are, and how often the cohort that is being made will be made. */
let building: { nodes: number; times: number } | undefined

const tooMany = (found: string) =>
  new InvalidInput({
    what: "the size of the plan",
    problems: [`expected at most ${mostNodes} units, found ${found}; give fewer values`],
  })

/**
 * Builds a pipeline, counting its nodes.
 *
 * @throws InvalidInput as soon as it is known that there are more than {@link mostNodes}
 */
export const countingNodes = <A>(build: () => A): A => {
  const around = building
  building = { nodes: 0, times: 1 }
  try {
    return build()
  } finally {
    building = around
  }
}

/** @throws InvalidInput if this node is one too many */
export const countNode = (): void => {
  if (building !== undefined && ++building.nodes > mostNodes) throw tooMany("more")
}

/**
 * Makes what is repeated `count` times, such as the points of a grid.
 *
 * @param what the values, for the message
 * @throws InvalidInput before anything is made if that alone is too much, with what it is repeated by itself
 */
export const repeating = <A>(count: number, what: string, make: () => A): A => {
  const times = count * (building?.times ?? 1)
  if (times > mostNodes) throw tooMany(`${times} from ${what}`)
  if (building === undefined) return make()
  const around = building.times
  building.times = times
  try {
    return make()
  } finally {
    building.times = around
  }
}
