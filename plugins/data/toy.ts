/**
 * The embedded toy language: 273 words with a taxonomy, a grammar, and entailment that follows from both. What
 * is drawn depends on the seed alone, so a study of it needs no files and no network, and is the same everywhere.
 */
import { type } from "arktype"
import { Effect } from "effect"
import { cost } from "../../core/api/cost.ts"
import { plugin, type RunContext } from "../../core/api/plugin.ts"
import { Corpus } from "../../core/artifacts/corpus.ts"
import { Examples } from "../../core/artifacts/examples.ts"
import { Similarity } from "../../core/artifacts/similarity.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { stream } from "../../core/tensor/stream.ts"
import { tokenizerOf } from "../model/tokenizer.ts"
import { encodeAll, type Text } from "./shared/encode.ts"
import { drawConsequence } from "./toy/consequences.ts"
import { type Dice, dice } from "./toy/dice.ts"
import { sayMeaning } from "./toy/grammar.ts"
import { drawKnot, type Pair } from "./toy/knots.ts"
import { specialTokens, tokens } from "./toy/lexicon.ts"
import { drawScoredPair } from "./toy/likeness.ts"
import { drawMeaning } from "./toy/scenes.ts"

/** Mean tokens of a sentence and of two, with [CLS] and [SEP]; measured. */
const sentenceLength = 8.2
const pairLength = 14.9
/** No two sentences have more words together. */
const longest = 64

const seed = "0 <= number.integer <= 4294967295 = 42"
const count = "1 <= number.integer <= 10000000"
/** Two int32 a token, and an offset. */
const diskOf = (sequences: number, length: number) => sequences * (8 * length + 4)
const costOf = (disk: number) => cost({ memory: 2.5e8 + 10 * disk, disk })
const none = {}
const takes = { vocabulary: Vocabulary }

export const toyVocabulary = plugin({
  name: "toy-vocabulary",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "The words of the embedded toy language",
  options: type({ "+": "reject" }),
  takes: none,
  gives: Vocabulary,
  usesBackend: false,
  estimate: () => ({ artifact: { size: tokens.length }, cost: costOf(0) }),
  run: () => {
    const [pad, unknown, cls, separator, mask] = specialTokens.map((token) => tokens.indexOf(token))
    return Effect.succeed({
      tokens,
      special: { pad: pad!, unknown: unknown!, cls: cls!, separator: separator!, mask: mask! },
    })
  },
})

/** Items 0, 1, … of a stream, in turn with whatever else wants to run. */
const drawAll = Effect.fnUntraced(function* <T>(
  seed: number,
  name: string,
  count: number,
  draw: (dice: Dice) => T,
) {
  const items: T[] = []
  for (let item = 0; item < count; item++) {
    items.push(draw(dice(stream(seed, name), item)))
    if (item % 1000 === 999) yield* Effect.yieldNow
  }
  return items
})

const CorpusOptions = type({
  "+": "reject",
  sentences: `${count} = 20000`,
  /** A second segment beside each: something that follows from the sentence, or that it follows from. */
  restated: "boolean = false",
  seed,
})

/** Restated, it teaches what every reader of two sentences needs: where to look in one for what the other says. */
export const toyCorpus = plugin({
  name: "toy-corpus",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "Sentences of the embedded toy language",
  options: CorpusOptions,
  takes,
  gives: Corpus,
  usesBackend: false,
  estimate: ({ sentences, restated }, inputs) => {
    const tokensPerSentence = restated ? pairLength : sentenceLength
    return {
      artifact: { sentences, tokensPerSentence, vocabularySize: inputs.vocabulary.size },
      cost: costOf(diskOf(sentences, tokensPerSentence)),
    }
  },
  run: Effect.fn("toyCorpus")(function* ({
    options: { sentences, restated, seed },
    inputs: { vocabulary },
  }: RunContext<typeof CorpusOptions.infer, typeof takes, never>) {
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

/** Of RTE: 1,249 of 2,490 training pairs and 146 of 277 dev pairs are entailed. */
const entailedShares = { train: 1249 / 2490, dev: 146 / 277 }

const EntailmentOptions = type({
  "+": "reject",
  train: `${count} = 2490`,
  dev: `${count} = 277`,
  seed,
})

/** `count` pairs, `entailed` of them entailed: those of knot after knot, as far as there is room for their label. */
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
  summary: "Pairs of sentences of the embedded toy language, labelled like those of RTE",
  options: EntailmentOptions,
  takes,
  gives: Examples,
  usesBackend: false,
  estimate: ({ train, dev }, inputs) => ({
    artifact: { train, dev, tokensPerExample: pairLength, labels: 2, vocabularySize: inputs.vocabulary.size },
    cost: costOf(diskOf(train + dev, pairLength)),
  }),
  run: Effect.fn("toyEntailment")(function* ({
    options,
    inputs: { vocabulary },
  }: RunContext<typeof EntailmentOptions.infer, typeof takes, never>) {
    const tokenizer = tokenizerOf(vocabulary)
    const split = Effect.fnUntraced(function* (name: "train" | "dev") {
      const entailed = Math.round(options[name] * entailedShares[name])
      const pairs = drawPairs(options.seed, `toy ${name}`, options[name], entailed)
      const texts = pairs.map(({ premise, hypothesis }) => ({ first: premise, second: hypothesis }))
      const sequences = yield* encodeAll(tokenizer, texts, longest)
      return { sequences, labels: Int32Array.from(pairs, ({ entailed }) => (entailed ? 0 : 1)) }
    })
    return {
      labelNames: ["entailment", "not_entailment"],
      train: yield* split("train"),
      dev: yield* split("dev"),
      special: vocabulary.special,
      vocabularySize: vocabulary.tokens.length,
    }
  }),
})

const SimilarityOptions = type({ "+": "reject", pairs: `${count} = 500`, seed })

export const toySimilarity = plugin({
  name: "toy-similarity",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "Pairs of sentences of the embedded toy language, with how alike they are from 0 to 5",
  options: SimilarityOptions,
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
  }: RunContext<typeof SimilarityOptions.infer, typeof takes, never>) {
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
