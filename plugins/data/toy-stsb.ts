import { type } from "arktype"
import { Effect } from "effect"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Examples } from "../../core/artifacts/examples.ts"
import type { MetricName } from "../../core/artifacts/metrics.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { tokenizerOf } from "../model/tokenizer.ts"
import { encodeAll } from "./shared/encode.ts"
import { countOption, drawAll, seedOption } from "./shared/toy/draw.ts"
import { drawScoredPair } from "./shared/toy/likeness.ts"
import { costOf, diskOf, longest, pairLength } from "./shared/toy/size.ts"

const Options = type({
  "+": "reject",
  /** How many pairs the train split has. */
  train: `${countOption} = 2490`,
  /** How many pairs the dev split has. */
  dev: `${countOption} = 277`,
  /** Determines all that is drawn. */
  seed: seedOption,
})

const takes = { vocabulary: Vocabulary }
const metrics: readonly MetricName[] = ["pearson", "spearman"]

/** The pairs of `toy-similarity` to be fine-tuned on: as two segments, in two splits. */
export const toyStsb = plugin({
  name: "toy-stsb",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "Sentence pairs of the embedded toy language, with scores from 0 to 5 like those of STS-B",
  options: Options,
  takes,
  gives: Examples,
  usesBackend: false,
  estimate: ({ train, dev }, inputs) => ({
    artifact: {
      train,
      dev,
      tokensPerExample: pairLength,
      labels: 1,
      labelKind: "scores" as const,
      metrics,
      vocabularySize: inputs.vocabulary.size,
    },
    cost: costOf(diskOf(train + dev, pairLength)),
  }),
  run: Effect.fn("toyStsb")(function* ({
    options,
    inputs: { vocabulary },
  }: RunContext<typeof Options.infer, typeof takes, never>) {
    const tokenizer = tokenizerOf(vocabulary)
    const split = Effect.fnUntraced(function* (name: "train" | "dev") {
      const pairs = yield* drawAll(options.seed, `toy stsb ${name}`, options[name], drawScoredPair)
      const sequences = yield* encodeAll(tokenizer, pairs, longest)
      return { sequences, labels: Float64Array.from(pairs, ({ score }) => score) }
    })
    return {
      labelNames: null,
      metrics,
      train: yield* split("train"),
      dev: yield* split("dev"),
      special: vocabulary.special,
      vocabularySize: vocabulary.tokens.length,
    }
  }),
})
