import { type } from "arktype"
import { Effect } from "effect"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Similarity } from "../../core/artifacts/similarity.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { tokenizerOf } from "../model/tokenizer.ts"
import { encodeAll } from "./shared/encode.ts"
import { countOption, drawAll, seedOption } from "./shared/toy/draw.ts"
import { drawScoredPair } from "./shared/toy/likeness.ts"
import { costOf, diskOf, longest, sentenceLength } from "./shared/toy/size.ts"

const Options = type({
  "+": "reject",
  /** How many sentence pairs to draw. */
  pairs: `${countOption} = 500`,
  /** Determines all that is drawn. */
  seed: seedOption,
})

const takes = { vocabulary: Vocabulary }

export const toySimilarity = plugin({
  name: "toy-similarity",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "Sentence pairs of the embedded toy language, with similarity scores from 0 to 5",
  options: Options,
  takes,
  gives: Similarity,
  usesBackend: false,
  estimate: ({ pairs }, inputs) => ({
    artifact: { pairs, tokensPerSentence: sentenceLength, vocabularySize: inputs.vocabulary.size },
    cost: costOf(diskOf(2 * pairs, sentenceLength)),
  }),
  run: Effect.fn("toySimilarity")(function* ({
    options: { pairs, seed },
    inputs: { vocabulary },
  }: RunContext<typeof Options.infer, typeof takes, never>) {
    const tokenizer = tokenizerOf(vocabulary)
    const drawn = yield* drawAll(seed, "toy similarity", pairs, drawScoredPair)
    const encode = (which: "first" | "second") =>
      encodeAll(
        tokenizer,
        drawn.map((pair) => ({ first: pair[which] })),
        longest,
      )
    const set = {
      name: "toy",
      first: yield* encode("first"),
      second: yield* encode("second"),
      scores: Float64Array.from(drawn, ({ score }) => score),
    }
    return { sets: [set], vocabularySize: vocabulary.tokens.length }
  }),
})
