import { Effect } from "effect"
import { drawAll } from "./shared/toy/draw.ts"
import { drawScoredPair } from "./shared/toy/likeness.ts"
import { pairLength } from "./shared/toy/size.ts"
import { toyTask } from "./shared/toy/task.ts"

/** The pairs of `toy-similarity` to be fine-tuned on: as two segments, in two splits. */
export const toyStsb = toyTask({
  name: "toy-stsb",
  module: import.meta.url,
  summary: "Sentence pairs of the embedded toy language, with scores from 0 to 5 like those of STS-B",
  labelNames: null,
  metrics: ["pearson", "spearman"],
  tokensPerExample: pairLength,
  draw: (seed, split, count) =>
    Effect.map(drawAll(seed, `toy stsb ${split}`, count, drawScoredPair), (pairs) =>
      pairs.map(({ score, ...pair }) => ({ ...pair, label: score })),
    ),
})
