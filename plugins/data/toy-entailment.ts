import { Effect } from "effect"
import { plugin } from "../../core/api/plugin.ts"
import { stream } from "../../core/tensor/stream.ts"
import { dice } from "./shared/toy/dice.ts"
import { pairLength } from "./shared/toy/size.ts"
import { ToyOptions, toyTask } from "./shared/toy/task.ts"
import { drawKnot, type Pair } from "./toy-entailment/knots.ts"

/** As in RTE: 1,249 of 2,490 training pairs and 146 of 277 dev pairs are entailed. */
const entailedShares = { train: 1249 / 2490, dev: 146 / 277 }

/** `count` pairs, `entailed` of them entailed: takes knot after knot, skipping pairs whose label has no room left. */
const drawPairs = (seed: number, name: string, count: number, entailed: number): readonly Pair[] => {
  const pairs: Pair[] = []
  const room = { true: entailed, false: count - entailed }
  for (let knot = 0; pairs.length < count; knot++) {
    for (const pair of drawKnot(dice(stream(seed, name), knot))) {
      const label = `${pair.entailed}` as const
      if (room[label] === 0) continue
      room[label] -= 1
      pairs.push(pair)
    }
  }
  return pairs
}

export const toyEntailment = plugin({
  name: "toy-entailment",
  version: 1,
  module: import.meta.url,
  summary: "Sentence pairs of the embedded toy language, labelled like those of RTE",
  options: ToyOptions,
  ...toyTask({
    labelNames: ["entailment", "not_entailment"],
    metrics: ["accuracy"],
    tokensPerExample: pairLength,
    draw: (seed, split, count) =>
      Effect.sync(() =>
        drawPairs(seed, `toy ${split}`, count, Math.round(count * entailedShares[split])).map(
          ({ premise, hypothesis, entailed }) => ({
            first: premise,
            second: hypothesis,
            label: entailed ? 0 : 1,
          }),
        ),
      ),
  }),
})
