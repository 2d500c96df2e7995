/** How alike two meanings are, and sentences whose likeness is known. */
import { drawConsequence } from "../shared/toy/consequences.ts"
import type { Dice } from "../shared/toy/dice.ts"
import { sayMeaning } from "../shared/toy/grammar.ts"
import { lineage } from "../shared/toy/lexicon.ts"
import type { Clause, Meaning, Phrase } from "../shared/toy/meaning.ts"
import { drawMeaning, drawRival } from "../shared/toy/scenes.ts"

const highest = 5

const phraseFeatures = (role: string, phrase: Phrase | null): readonly string[] =>
  phrase === null
    ? []
    : [
        ...lineage(phrase.head).map((kind) => `${role} ${kind}`),
        ...(phrase.adjective === null ? [] : [`${role} is ${phrase.adjective}`]),
      ]

/** All that a clause tells, the more general things that it implies included. */
const clauseFeatures = ({ negative, every, subject, verb, object, place }: Clause): readonly string[] => [
  negative ? "denied" : "affirmed",
  ...(every ? ["every"] : []),
  ...phraseFeatures("subject", subject),
  ...phraseFeatures("object", object),
  ...lineage(verb).map((action) => `verb ${action}`),
  ...(place === null ? [] : lineage(place).map((region) => `place ${region}`)),
]

const featuresOf = (meaning: Meaning): ReadonlySet<string> => new Set(meaning.flatMap(clauseFeatures))

/** From 0 to 5: the part of what either meaning tells that both tell (Jaccard's index). */
export const likeness = (one: Meaning, other: Meaning): number => {
  const [left, right] = [featuresOf(one), featuresOf(other)]
  return (highest * left.intersection(right).size) / left.union(right).size
}

/** Two sentences and how alike they are: of the same, of something related, or of something else. */
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
