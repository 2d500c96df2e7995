import { type } from "arktype"
import { Effect } from "effect"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Examples } from "../../core/artifacts/examples.ts"
import type { MetricName } from "../../core/artifacts/metrics.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { stream } from "../../core/tensor/stream.ts"
import { tokenizerOf } from "../model/tokenizer.ts"
import { encodeAll } from "./shared/encode.ts"
import { dice } from "./shared/toy/dice.ts"
import { countOption, seedOption } from "./shared/toy/draw.ts"
import { costOf, diskOf, longest, pairLength } from "./shared/toy/size.ts"
import { drawKnot, type Pair } from "./toy-entailment/knots.ts"

/** As in RTE: 1,249 of 2,490 training pairs and 146 of 277 dev pairs are entailed. */
const entailedShares = { train: 1249 / 2490, dev: 146 / 277 }

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
const metrics: readonly MetricName[] = ["accuracy"]

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
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "Sentence pairs of the embedded toy language, labelled like those of RTE",
  options: Options,
  takes,
  gives: Examples,
  usesBackend: false,
  estimate: ({ train, dev }, inputs) => ({
    artifact: {
      train,
      dev,
      tokensPerExample: pairLength,
      labels: 2,
      labelKind: "classes" as const,
      metrics,
      vocabularySize: inputs.vocabulary.size,
    },
    cost: costOf(diskOf(train + dev, pairLength)),
  }),
  run: Effect.fn("toyEntailment")(function* ({
    options,
    inputs: { vocabulary },
  }: RunContext<typeof Options.infer, typeof takes, never>) {
    const tokenizer = tokenizerOf(vocabulary)
    const split = Effect.fnUntraced(function* (name: "train" | "dev") {
      const entailed = Math.round(options[name] * entailedShares[name])
      const pairs = drawPairs(options.seed, `toy ${name}`, options[name], entailed)
      const texts = pairs.map(({ premise, hypothesis }) => ({ first: premise, second: hypothesis }))
      const sequences = yield* encodeAll(tokenizer, texts, longest)
      return { sequences, labels: Float64Array.from(pairs, ({ entailed }) => (entailed ? 0 : 1)) }
    })
    return {
      labelNames: ["entailment", "not_entailment"],
      metrics,
      train: yield* split("train"),
      dev: yield* split("dev"),
      special: vocabulary.special,
      vocabularySize: vocabulary.tokens.length,
    }
  }),
})
