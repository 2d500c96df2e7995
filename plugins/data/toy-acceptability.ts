import { type } from "arktype"
import { Effect } from "effect"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Examples } from "../../core/artifacts/examples.ts"
import type { MetricName } from "../../core/artifacts/metrics.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { tokenizerOf } from "../model/tokenizer.ts"
import { encodeAll } from "./shared/encode.ts"
import { countOption, drawAll, seedOption } from "./shared/toy/draw.ts"
import { costOf, diskOf, longest, sentenceLength } from "./shared/toy/size.ts"
import { drawKnot } from "./toy-acceptability/knots.ts"

const Options = type({
  "+": "reject",
  /** How many sentences the train split has. */
  train: `${countOption} = 2490`,
  /** How many sentences the dev split has. */
  dev: `${countOption} = 277`,
  /** Determines all that is drawn. */
  seed: seedOption,
})

const takes = { vocabulary: Vocabulary }
const metrics: readonly MetricName[] = ["accuracy", "matthews"]

/** Which sentences say of something what can be said of it, by the kinds that each verb takes. */
export const toyAcceptability = plugin({
  name: "toy-acceptability",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "Single sentences of the embedded toy language, labelled like those of CoLA",
  options: Options,
  takes,
  gives: Examples,
  usesBackend: false,
  estimate: ({ train, dev }, inputs) => ({
    artifact: {
      train,
      dev,
      tokensPerExample: sentenceLength,
      labels: 2,
      labelKind: "classes" as const,
      metrics,
      vocabularySize: inputs.vocabulary.size,
    },
    cost: costOf(diskOf(train + dev, sentenceLength)),
  }),
  run: Effect.fn("toyAcceptability")(function* ({
    options,
    inputs: { vocabulary },
  }: RunContext<typeof Options.infer, typeof takes, never>) {
    const tokenizer = tokenizerOf(vocabulary)
    const split = Effect.fnUntraced(function* (name: "train" | "dev") {
      const count = options[name]
      const knots = yield* drawAll(options.seed, `toy acceptability ${name}`, Math.ceil(count / 4), drawKnot)
      const judgements = knots.flat().slice(0, count)
      const texts = judgements.map(({ sentence }) => ({ first: sentence }))
      const sequences = yield* encodeAll(tokenizer, texts, longest)
      return { sequences, labels: Float64Array.from(judgements, ({ acceptable }) => (acceptable ? 1 : 0)) }
    })
    return {
      labelNames: ["unacceptable", "acceptable"],
      metrics,
      train: yield* split("train"),
      dev: yield* split("dev"),
      special: vocabulary.special,
      vocabularySize: vocabulary.tokens.length,
    }
  }),
})
