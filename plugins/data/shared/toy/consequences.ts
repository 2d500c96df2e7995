/** Steps from a meaning to one that follows from it. */
import type { Dice } from "./dice.ts"
import { adjectivesFor, children, isName, largePlaces, parent, presence } from "./lexicon.ts"
import { type Clause, isSensible, type Meaning, type Phrase } from "./meaning.ts"

/** What may replace each part of a clause. */
interface Change {
  readonly phrase: (phrase: Phrase) => readonly Phrase[]
  readonly verb: (verb: string) => readonly string[]
  readonly place: (place: string | null) => readonly (string | null)[]
}

const widen: Change = {
  phrase: ({ head, adjective }) => {
    if (adjective !== null) return [{ head, adjective: null }]
    const above = parent(head)
    return above === undefined ? [] : [{ head: above, adjective }]
  },
  verb: (verb) => [parent(verb)].filter((above) => above !== undefined),
  place: (place) => (place === null ? [] : [parent(place) ?? null]),
}

const narrow: Change = {
  phrase: ({ head, adjective }) =>
    adjective === null
      ? [
          ...children(head).map((below) => ({ head: below, adjective })),
          ...adjectivesFor(head).map((said) => ({ head, adjective: said })),
        ]
      : children(head)
          .filter((below) => !isName(below))
          .map((below) => ({ head: below, adjective })),
  verb: children,
  place: (place) => (place === null ? largePlaces : children(place)),
}

/** Clauses that differ in one part, grouped by part so that parts with many alternatives do not dominate. */
type Alternatives = readonly (readonly Clause[])[]

const subjects = (clause: Clause, change: Change): readonly Clause[] =>
  change.phrase(clause.subject).map((subject) => ({ ...clause, subject }))

const others = (clause: Clause, change: Change): Alternatives => [
  clause.object === null ? [] : change.phrase(clause.object).map((object) => ({ ...clause, object })),
  change
    .verb(clause.verb)
    .map((verb) => ({ ...clause, verb, object: verb === presence ? null : clause.object })),
  change.place(clause.place).map((place) => ({ ...clause, place })),
]

/** Clauses that follow from a clause in one step: an affirmed one is widened, a denied one narrowed. */
const oneStepFrom = (clause: Clause): Alternatives =>
  clause.negative
    ? [subjects(clause, narrow), ...others(clause, narrow)]
    : [
        ...(clause.every
          ? [
              subjects(clause, narrow).map((below) => ({ ...below, every: !isName(below.subject.head) })),
              [{ ...clause, every: false }],
            ]
          : [subjects(clause, widen)]),
        ...others(clause, widen),
      ]

const pickSensible = (meanings: readonly (readonly Meaning[])[], dice: Dice): Meaning | undefined => {
  const groups = meanings.map((group) => group.filter(isSensible)).filter((group) => group.length > 0)
  return groups.length === 0 ? undefined : dice.pick(dice.pick(groups))
}

const withClause = (
  meaning: Meaning,
  index: number,
  alternatives: Alternatives,
): readonly (readonly Meaning[])[] =>
  alternatives.map((group) => group.map((clause) => meaning.map((kept, i) => (i === index ? clause : kept))))

/** A sensible meaning that follows from `meaning` in one step; undefined if there is none. */
const weaken = (meaning: Meaning, dice: Dice): Meaning | undefined => {
  const index = dice.below(meaning.length)
  return pickSensible(withClause(meaning, index, oneStepFrom(meaning[index]!)), dice)
}

const mostSteps = 2
const percentOneClause = 80

/** A meaning that follows from `meaning`: perhaps only one of its two clauses, then up to two steps further. */
export const drawConsequence = (meaning: Meaning, dice: Dice): Meaning => {
  let result = meaning.length > 1 && dice.chance(percentOneClause) ? [dice.pick(meaning)] : meaning
  for (let steps = dice.below(mostSteps + 1); steps > 0; steps--) result = weaken(result, dice) ?? result
  return result
}
