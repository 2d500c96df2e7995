import { type } from "arktype"
import { Effect } from "effect"
import { plugin } from "../../core/api/plugin.ts"
import { Vocabulary } from "../../core/artifacts/vocabulary.ts"
import { specialTokens, tokens } from "./shared/toy/lexicon.ts"
import { costOf } from "./shared/toy/size.ts"

/**
 * The vocabulary of the embedded toy language: 273 words with a taxonomy, a grammar, and entailment that follows from
 * both. Its data depend on the seed alone, so a study needs no files and no network, and gets the same data
 * everywhere.
 */
export const toyVocabulary = plugin({
  name: "toy-vocabulary",
  stage: "data",
  version: 1,
  module: import.meta.url,
  summary: "The words of the embedded toy language",
  options: type({ "+": "reject" }),
  takes: {},
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
