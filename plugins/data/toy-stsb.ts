import { Effect } from "effect"
import { plugin } from "../../core/api/plugin.ts"
import { drawAll } from "./shared/toy/draw.ts"
import { drawScoredPair } from "./shared/toy/likeness.ts"
import { pairLength } from "./shared/toy/size.ts"
import { ToyOptions, toyTask } from "./shared/toy/task.ts"

/** The pairs of `toy-similarity` to be fine-tuned on: as two segments, in two splits. */
export const toyStsb = plugin({
  name: "toy-stsb",
  version: 1,
  module: import.meta.url,
  summary: "Sentence pairs of the embedded toy language, with scores from 0 to 5 like those of STS-B",
  options: ToyOptions,
  ...toyTask({
    labelNames: null,
    metrics: ["pearson", "spearman"],
    tokensPerExample: pairLength,
    draw: (seed, split, count) =>
      Effect.map(drawAll(seed, `toy stsb ${split}`, count, drawScoredPair), (pairs) =>
        pairs.map(({ score, ...pair }) => ({ ...pair, label: score })),
      ),
  }),
})
