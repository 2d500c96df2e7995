/** Random meanings, which the sentences of the toy language express. Probabilities are in percent. */
import type { Dice } from "./dice.ts"
import {
  adjectivesFor,
  children,
  intransitives,
  isA,
  largePlaces,
  names,
  populated,
  presence,
  selectionOf,
  transitives,
} from "./lexicon.ts"
import { type Clause, isSensible, type Meaning, type Phrase } from "./meaning.ts"

/** A kind under `top`: mostly one of the last level, sometimes a more general one. */
const drawKind = (top: string, dice: Dice): string => {
  const below = children(top)
  return below.length === 0 || dice.chance(12) ? top : drawKind(dice.pick(below), dice)
}

const drawPhrase = (tops: readonly string[], dice: Dice): Phrase => {
  const top = dice.pick(tops)
  if (isA(top, "person") && dice.chance(60)) return { head: dice.pick(names), adjective: null }
  const head = drawKind(top, dice)
  const adjectives = adjectivesFor(head)
  return { head, adjective: adjectives.length > 0 && dice.chance(10) ? dice.pick(adjectives) : null }
}

const drawPlace = (dice: Dice): string => {
  const large = dice.pick(largePlaces)
  return dice.chance(20) ? large : dice.pick(children(large))
}

const drawVerb = (dice: Dice): string => {
  if (dice.chance(7)) return presence
  const general = dice.pick(dice.chance(10) ? intransitives : transitives)
  return dice.chance(20) ? general : dice.pick(children(general))
}

const drawClause = (dice: Dice): Clause => {
  const verb = drawVerb(dice)
  const selection = selectionOf(verb)
  const negative = dice.chance(10)
  const subject = drawPhrase(selection.subject, dice)
  const every = !negative && selection.subject.includes("person") && dice.chance(8)
  return {
    negative,
    every,
    subject: every ? { head: dice.pick(populated), adjective: null } : subject,
    verb,
    object: selection.object === null ? null : drawPhrase(selection.object, dice),
    place: verb === presence || dice.chance(15) ? drawPlace(dice) : null,
  }
}

/** `clause` with another object, with another subject, or with only its subject kept; or an unrelated clause. */
const drawRelated = (clause: Clause, dice: Dice): Clause => {
  const fresh = drawClause(dice)
  const kept = { ...clause, negative: dice.chance(40) ? !clause.negative : clause.negative }
  const { subject, object } = selectionOf(clause.verb)
  const choice = dice.below(100)
  if (choice < 35 && object !== null) return { ...kept, object: drawPhrase(object, dice) }
  if (choice < 55) return { ...kept, every: false, subject: drawPhrase(subject, dice) }
  if (choice < 80) return { ...fresh, every: false, subject: clause.subject }
  return fresh
}

const drawSensible = (draw: () => Meaning): Meaning => {
  for (;;) {
    const meaning = draw()
    if (isSensible(meaning)) return meaning
  }
}

/** A sensible meaning of one clause, or, with a probability of 10 %, of two. */
export const drawMeaning = (dice: Dice): Meaning => {
  const double = dice.chance(10)
  return drawSensible(() => {
    const first = drawClause(dice)
    return double ? [first, drawRelated(first, dice)] : [first]
  })
}

/** A sensible meaning that has something in common with `meaning`, clause by clause. */
export const drawRival = (meaning: Meaning, dice: Dice): Meaning =>
  drawSensible(() => meaning.map((clause) => drawRelated(clause, dice)))
