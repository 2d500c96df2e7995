import { type } from "arktype"
import { Effect } from "effect"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Corpus } from "../../core/artifacts/corpus.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { tokenizerOf } from "../model/tokenizer.ts"
import { encodeAll, type Text } from "./shared/encode.ts"
import { drawConsequence } from "./shared/toy/consequences.ts"
import type { Dice } from "./shared/toy/dice.ts"
import { countOption, drawAll, seedOption } from "./shared/toy/draw.ts"
import { sayMeaning } from "./shared/toy/grammar.ts"
import { drawMeaning } from "./shared/toy/scenes.ts"
import { costOf, diskOf, longest, pairLength, sentenceLength } from "./shared/toy/size.ts"

const Options = type({
  "+": "reject",
  /** How many sentences to draw. */
  sentences: `${countOption} = 20000`,
  /** Adds a second segment to each sentence: one that follows from it, or one that it follows from. */
  restated: "boolean = false",
  /** Determines all that is drawn. */
  seed: seedOption,
})

const takes = { vocabulary: Vocabulary }

/** With `restated`, it teaches what every sentence-pair task needs: finding in one sentence what the other says. */
export const toyCorpus = plugin({
  name: "toy-corpus",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "Sentences of the embedded toy language",
  options: Options,
  takes,
  gives: Corpus,
  usesBackend: false,
  estimate: ({ sentences, restated }, inputs) => {
    const tokensPerSentence = restated ? pairLength : sentenceLength
    return {
      artifact: { sentences, tokensPerSentence, vocabularySize: inputs.vocabulary.size, pairs: restated },
      cost: costOf(diskOf(sentences, tokensPerSentence)),
    }
  },
  run: Effect.fn("toyCorpus")(function* ({
    options: { sentences, restated, seed },
    inputs: { vocabulary },
  }: RunContext<typeof Options.infer, typeof takes, never>) {
    const draw = (dice: Dice): Text => {
      const meaning = drawMeaning(dice)
      const said = sayMeaning(meaning, dice)
      if (!restated) return { first: said }
      const consequence = sayMeaning(drawConsequence(meaning, dice), dice)
      return dice.chance(50) ? { first: said, second: consequence } : { first: consequence, second: said }
    }
    const texts = yield* drawAll(seed, "toy corpus", sentences, draw)
    return {
      sequences: yield* encodeAll(tokenizerOf(vocabulary), texts, longest),
      special: vocabulary.special,
      vocabularySize: vocabulary.tokens.length,
    }
  }),
})
