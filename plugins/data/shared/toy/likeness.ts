/** The similarity of two meanings, and sentence pairs of known similarity. */
import { drawConsequence } from "./consequences.ts"
import type { Dice } from "./dice.ts"
import { sayMeaning } from "./grammar.ts"
import { lineage } from "./lexicon.ts"
import type { Clause, Meaning, Phrase } from "./meaning.ts"
import { drawMeaning, drawRival } from "./scenes.ts"

const highest = 5

const phraseFeatures = (role: string, phrase: Phrase | null): readonly string[] =>
  phrase === null
    ? []
    : [
        ...lineage(phrase.head).map((kind) => `${role} ${kind}`),
        ...(phrase.adjective === null ? [] : [`${role} is ${phrase.adjective}`]),
      ]

/** Everything that a clause states, including the more general things that it implies. */
const clauseFeatures = ({ negative, every, subject, verb, object, place }: Clause): readonly string[] => [
  negative ? "denied" : "affirmed",
  ...(every ? ["every"] : []),
  ...phraseFeatures("subject", subject),
  ...phraseFeatures("object", object),
  ...lineage(verb).map((action) => `verb ${action}`),
  ...(place === null ? [] : lineage(place).map((region) => `place ${region}`)),
]

const featuresOf = (meaning: Meaning): ReadonlySet<string> => new Set(meaning.flatMap(clauseFeatures))

/** Similarity from 0 to 5: 5 times the Jaccard index of what the two meanings state. */
export const likeness = (one: Meaning, other: Meaning): number => {
  const [left, right] = [featuresOf(one), featuresOf(other)]
  return (highest * left.intersection(right).size) / left.union(right).size
}

/** Two sentences and their similarity: the second follows from the first, is related to it, or is independent. */
export const drawScoredPair = (dice: Dice) => {
  const meaning = drawMeaning(dice)
  const draws = [drawConsequence, drawRival, (_: Meaning, dice: Dice) => drawMeaning(dice)]
  const other = dice.pick(draws)(meaning, dice)
  return {
    first: sayMeaning(meaning, dice),
    second: sayMeaning(other, dice),
    score: likeness(meaning, other),
  }
}
