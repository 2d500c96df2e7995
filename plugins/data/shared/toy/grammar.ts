/** Puts meanings into English: active or passive, with "no" and "never"; what two clauses share is said once. */
import type { Dice } from "./dice.ts"
import { isName, presence } from "./lexicon.ts"
import type { Clause, Meaning, Phrase } from "./meaning.ts"

/** A clause in the order of its words. */
interface Spoken extends Clause {
  readonly passive: boolean
  /** Before the verb: the subject, or in the passive the object. */
  readonly front: Phrase
  /** After the verb. */
  readonly back: Phrase | null
}

/** "A sparrow was fed by every girl" could be about one sparrow, so clauses with "every" stay active. */
const speak = (clause: Clause, wantsPassive: boolean): Spoken => {
  const { subject, object, every } = clause
  return wantsPassive && object !== null && !every
    ? { ...clause, passive: true, front: object, back: subject }
    : { ...clause, passive: false, front: subject, back: object }
}

const bare = ({ head, adjective }: Phrase): string => (adjective === null ? head : `${adjective} ${head}`)

const say = (phrase: Phrase, denied: boolean): string => {
  const words = bare(phrase)
  if (isName(phrase.head)) return words
  if (denied) return `no ${words}`
  return /^[aeiou]/.test(words) ? `an ${words}` : `a ${words}`
}

const sayFront = ({ front, every, negative }: Spoken): string =>
  every ? `every ${bare(front)}` : say(front, negative)

const sayVerb = ({ verb, passive }: Spoken, options: { never?: boolean; plural?: boolean } = {}): string => {
  const be = passive || verb === presence
  return [
    be ? (options.plural ? "were" : "was") : [],
    options.never ? "never" : [],
    verb === presence ? [] : verb,
    passive ? "by" : [],
  ]
    .flat()
    .join(" ")
}

const sayPlace = ({ place }: Spoken): string => (place === null ? "" : ` in the ${place}`)

/** Whether the clause can be said with this phrase: a denial puts "no" before a noun, but a name needs "never". */
const deniable = (spoken: Spoken, phrase: Phrase): boolean => !spoken.negative || !isName(phrase.head)

/**
 * What follows the front. A denial not yet said there goes to the back ("anna fed no sparrow") or to the verb ("anna
 * never fed a sparrow"). This happens only after a name: after a noun, the scope of the denial would be ambiguous.
 */
const sayRest = (spoken: Spoken, dice: Dice): string => {
  const { front, back, negative } = spoken
  const open = negative && isName(front.head)
  const backDenied = open && back !== null && deniable(spoken, back) && dice.chance(50)
  const object = back === null ? "" : ` ${say(back, backDenied)}`
  return `${sayVerb(spoken, { never: open && !backDenied })}${object}${sayPlace(spoken)}`
}

const samePhrase = (a: Phrase | null, b: Phrase | null): boolean =>
  a?.head === b?.head && a?.adjective === b?.adjective

const samePredicate = (a: Spoken, b: Spoken): boolean =>
  a.verb === b.verb && a.place === b.place && a.passive === b.passive

/** The affirmed clause comes first: "a sparrow but no trout". */
const affirmedFirst = (a: Spoken, b: Spoken): readonly [Spoken, Spoken] =>
  a.negative && !b.negative ? [b, a] : [a, b]

const conjunction = (a: Spoken, b: Spoken): string => (a.negative === b.negative ? "and" : "but")

/** "anna fed a sparrow but no trout": the front is a name, or "every" of both, so that it is the same in both. */
const joinBacks = (one: Spoken, two: Spoken): string | undefined => {
  const [a, b] = affirmedFirst(one, two)
  if (a.back === null || b.back === null || !samePredicate(a, b) || !samePhrase(a.front, b.front))
    return undefined
  const shared = a.every || b.every ? a.every && b.every : isName(a.front.head)
  if (!shared || !deniable(a, a.back) || !deniable(b, b.back)) return undefined
  const backs = `${say(a.back, a.negative)} ${conjunction(a, b)} ${say(b.back, b.negative)}`
  return `${a.every ? sayFront(a) : bare(a.front)} ${sayVerb(a)} ${backs}${sayPlace(a)}`
}

/** "a farmer and a nurse followed anna": the back is a name, or there is none. */
const joinFronts = (one: Spoken, two: Spoken): string | undefined => {
  const [a, b] = affirmedFirst(one, two)
  if (!samePredicate(a, b) || !samePhrase(a.back, b.back) || a.every || b.every) return undefined
  if ((a.back !== null && !isName(a.back.head)) || !deniable(a, a.front) || !deniable(b, b.front))
    return undefined
  const plural = a.negative === b.negative
  const fronts = `${sayFront(a)} ${conjunction(a, b)} ${sayFront(b)}`
  const back = a.back === null ? "" : ` ${bare(a.back)}`
  return `${fronts} ${sayVerb(a, { plural })}${back}${sayPlace(a)}`
}

/** An English sentence, lower case, without a full stop; its words are in the vocabulary. */
export const sayMeaning = (meaning: Meaning, dice: Dice): string => {
  const wantsPassive = dice.chance(40)
  const [one, two] = meaning.map((clause) => speak(clause, wantsPassive))
  if (one === undefined) throw new RangeError("a meaning has at least one clause")
  if (two === undefined) return `${sayFront(one)} ${sayRest(one, dice)}`
  const joined = joinBacks(one, two) ?? joinFronts(one, two)
  if (joined !== undefined) return joined
  const sameFront = isName(one.front.head) && samePhrase(one.front, two.front)
  const second = sameFront ? sayRest(two, dice) : `${sayFront(two)} ${sayRest(two, dice)}`
  return `${sayFront(one)} ${sayRest(one, dice)} ${conjunction(one, two)} ${second}`
}
