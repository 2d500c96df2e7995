/**
 * An independent definition of what sentences of the toy language mean: small worlds of events in which a meaning is
 * true or false. One meaning follows from another if it is true in all worlds where the other is.
 */
import type { Dice } from "../../../../../plugins/data/shared/toy/dice.ts"
import {
  adjectivesFor,
  isA,
  isName,
  leaves,
  places,
  presence,
  selectionOf,
} from "../../../../../plugins/data/shared/toy/lexicon.ts"
import type { Clause, Meaning, Phrase } from "../../../../../plugins/data/shared/toy/meaning.ts"

/** Heads, verbs and places are of the last level, so an event is fully specified. Everything happens somewhere. */
interface Event {
  readonly subject: Phrase
  readonly verb: string
  readonly object: Phrase | null
  readonly place: string
}
type World = readonly Event[]

const is = (someone: Phrase, phrase: Phrase) =>
  isA(someone.head, phrase.head) && (phrase.adjective === null || phrase.adjective === someone.adjective)

const happens = (world: World, { verb, object, place }: Clause, subject: Phrase): boolean =>
  world.some((event) => {
    if (place !== null && !isA(event.place, place)) return false
    if (verb === presence)
      return is(event.subject, subject) || (event.object !== null && is(event.object, subject))
    if (!isA(event.verb, verb) || !is(event.subject, subject)) return false
    return object === null || (event.object !== null && is(event.object, object))
  })

const members = (kind: string): readonly Phrase[] =>
  leaves(kind)
    .filter(isName)
    .map((head) => ({ head, adjective: null }))

const isTrueClause = (world: World, clause: Clause): boolean => {
  if (clause.negative) return !happens(world, clause, clause.subject)
  if (clause.every) return members(clause.subject.head).every((member) => happens(world, clause, member))
  return happens(world, clause, clause.subject)
}

export const isTrue = (world: World, meaning: Meaning): boolean =>
  meaning.every((clause) => isTrueClause(world, clause))

const drawSomeone = ({ head, adjective }: Phrase, dice: Dice): Phrase => {
  const someone = dice.pick(leaves(head))
  const adjectives = adjectivesFor(someone)
  if (adjective !== null || adjectives.length === 0) return { head: someone, adjective }
  return { head: someone, adjective: dice.chance(50) ? dice.pick(adjectives) : null }
}

const drawEvent = (clause: Clause, subject: Phrase, dice: Dice): Event => {
  const verb = clause.verb === presence ? presence : dice.pick(leaves(clause.verb))
  const { object } = selectionOf(verb)
  return {
    subject: drawSomeone(subject, dice),
    verb,
    object: object === null || clause.object === null ? null : drawSomeone(clause.object, dice),
    place: dice.pick(clause.place === null ? places : leaves(clause.place)),
  }
}

/** Events that make the affirmed clauses of a meaning true. */
export const drawWorld = (meaning: Meaning, dice: Dice): World =>
  meaning.flatMap((clause) => {
    if (clause.negative) return []
    const subjects = clause.every ? members(clause.subject.head) : [clause.subject]
    return subjects.map((subject) => drawEvent(clause, subject, dice))
  })
