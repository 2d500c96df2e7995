/** The meanings of sentences of the toy language, and which follow from which. */
import { isA, isName, leaves, populated, presence, selectionOf } from "./lexicon.ts"

/** Someone or something: a name, or a kind with an optional adjective. */
export interface Phrase {
  readonly head: string
  readonly adjective: string | null
}

/**
 * One statement. Affirmed: there are a subject, an object and a place for which the verb holds; with `every`, there
 * are an object and a place for each of the subjects. Denied (`negative`): there are none. A part that is null is
 * unspecified.
 */
export interface Clause {
  readonly negative: boolean
  readonly every: boolean
  readonly subject: Phrase
  readonly verb: string
  readonly object: Phrase | null
  readonly place: string | null
}

/** A sentence states all its clauses. */
export type Meaning = readonly Clause[]

const within = (narrow: Phrase, wide: Phrase): boolean =>
  isA(narrow.head, wide.head) && (wide.adjective === null || narrow.adjective === wide.adjective)

const placeWithin = (narrow: string | null, wide: string | null): boolean =>
  wide === null || (narrow !== null && isA(narrow, wide))

/** Whether the event of `narrow` is a case of `wide`. Being the subject or object of an event implies presence. */
const eventWithin = (narrow: Clause, wide: Clause): boolean => {
  if (!placeWithin(narrow.place, wide.place)) return false
  const isSubject = within(narrow.subject, wide.subject)
  if (wide.verb === presence) {
    return isSubject || (narrow.object !== null && within(narrow.object, wide.subject))
  }
  const isObject = wide.object === null || (narrow.object !== null && within(narrow.object, wide.object))
  return isSubject && isObject && isA(narrow.verb, wide.verb)
}

/** Whether the kind has members known to exist: it, or one of its leaves, is a name. */
const hasKnownMember = ({ head, adjective }: Phrase): boolean =>
  adjective === null && leaves(head).some(isName)

const clauseFollows = (premise: Clause, hypothesis: Clause): boolean => {
  if (premise.negative !== hypothesis.negative) return false
  if (premise.negative) return eventWithin(hypothesis, premise)
  if (!premise.every) return !hypothesis.every && eventWithin(premise, hypothesis)
  const narrower = { ...premise, subject: hypothesis.subject }
  const reached = within(hypothesis.subject, premise.subject) && eventWithin(narrower, hypothesis)
  if (hypothesis.every) return reached
  // "every" is only said of kinds with known members, so some of them do it.
  return eventWithin(premise, hypothesis) || (reached && hasKnownMember(hypothesis.subject))
}

/** Whether the hypothesis is true wherever the premise is. */
export const follows = (premise: Meaning, hypothesis: Meaning): boolean =>
  hypothesis.every((said) => premise.some((known) => clauseFollows(known, said)))

const selected = (phrase: Phrase, tops: readonly string[]): boolean =>
  tops.some((top) => isA(phrase.head, top))

const isSensibleClause = ({ negative, every, subject, verb, object, place }: Clause): boolean => {
  const selection = selectionOf(verb)
  if (!selected(subject, selection.subject)) return false
  if ((object === null) !== (selection.object === null)) return false
  if (object !== null && selection.object !== null && !selected(object, selection.object)) return false
  if (object !== null && isName(object.head) && object.head === subject.head) return false
  if (every && (negative || subject.adjective !== null || !populated.includes(subject.head))) return false
  return verb !== presence || place !== null
}

/** Whether every verb suits its subject and object, and no clause contradicts or repeats another. */
export const isSensible = (meaning: Meaning): boolean =>
  meaning.every(isSensibleClause) &&
  meaning.every((clause, i) =>
    meaning.every((other, j) => {
      if (i === j) return true
      if (clauseFollows(clause, other)) return false
      const denied = { ...other, negative: false }
      return clause.negative || !other.negative || !clauseFollows(clause, denied)
    }),
  )
