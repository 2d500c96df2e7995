/**
 * The words of the toy language and how they are related: a taxonomy of people, animals, food and objects, one of
 * places and one of verbs. Every verb has the same form in the past tense and as a participle ("fed", "was fed"), so
 * that whole words are enough.
 */

/** Heads by their parent. Names form the last level: each is one person, whereas nouns are kinds. */
const kinds: Readonly<Record<string, string>> = {
  person: "adult child worker",
  adult: "woman man",
  child: "girl boy",
  worker: "farmer nurse baker teacher doctor sailor gardener painter",
  woman: "anna carla emma ruth nora olga",
  man: "adam carl hugo ivan otto paul",
  girl: "amy daisy ella lily mia zoe",
  boy: "ben finn leo max tim tom",
  animal: "bird fish insect reptile dog pet",
  bird: "sparrow robin owl crow goose eagle",
  fish: "trout salmon carp eel pike herring",
  insect: "bee wasp ant moth beetle cricket",
  reptile: "lizard snake turtle gecko iguana tortoise",
  dog: "poodle beagle terrier collie husky",
  pet: "hamster rabbit kitten parrot pony",
  food: "fruit vegetable snack dessert",
  fruit: "apple pear plum cherry lemon peach",
  vegetable: "carrot onion potato cabbage leek turnip",
  snack: "sausage steak sandwich cracker pancake",
  dessert: "cake pie pudding waffle muffin",
  object: "tool instrument vehicle garment furniture toy",
  tool: "hammer saw drill axe shovel ladder",
  instrument: "violin flute piano drum harp trumpet",
  vehicle: "car bus truck tractor bicycle wagon",
  garment: "coat shirt scarf hat jacket dress",
  furniture: "table chair bench sofa desk shelf",
  toy: "ball kite doll puzzle marble",
}

/** Places by the larger place that contains them. */
const regions: Readonly<Record<string, string>> = {
  house: "kitchen attic cellar bedroom bathroom hall",
  valley: "barn stable meadow orchard forest cave",
  school: "classroom library gym office corridor",
  ship: "deck cabin galley bridge hold",
  town: "market church station museum harbour park",
}

/** Verbs with an object, by the more general verb, and the kinds that may be their subject and object. */
const actions: Readonly<Record<string, { specific: string; subject: string; object: string }>> = {
  cooked: { specific: "baked fried roasted boiled grilled", subject: "person", object: "food" },
  consumed: { specific: "devoured nibbled swallowed chewed", subject: "living", object: "food" },
  moved: { specific: "pushed pulled lifted dragged carried", subject: "person", object: "object" },
  cleaned: { specific: "washed wiped brushed polished scrubbed", subject: "person", object: "object" },
  acquired: { specific: "bought borrowed rented found", subject: "person", object: "ware" },
  helped: { specific: "fed healed rescued protected", subject: "person", object: "living" },
  touched: { specific: "stroked hugged patted tickled", subject: "person", object: "living" },
  noticed: { specific: "watched spotted heard recognized", subject: "living", object: "living" },
  followed: { specific: "chased hunted tracked stalked", subject: "living", object: "living" },
  attacked: { specific: "kicked scratched trampled slapped", subject: "living", object: "living" },
}

/** Verbs without an object. */
const activities: Readonly<Record<string, { specific: string; subject: string }>> = {
  rested: { specific: "slept napped dozed sat", subject: "living" },
  performed: { specific: "sang danced juggled", subject: "person" },
}

/** Groups of subjects and objects used above that are not kinds in the taxonomy. */
const unions: Readonly<Record<string, readonly string[]>> = {
  living: ["person", "animal"],
  ware: ["food", "object"],
}

/** The most general verb: whoever takes part in an event at a place was there. It has no object. */
export const presence = "was"

const list = (words: string): readonly string[] => words.split(" ")

const childrenOf = new Map<string, readonly string[]>()
const parentOf = new Map<string, string>()
const addLevel = (parent: string, children: readonly string[]) => {
  childrenOf.set(parent, children)
  for (const child of children) parentOf.set(child, parent)
}
for (const [parent, children] of Object.entries(kinds)) addLevel(parent, list(children))
for (const [parent, children] of Object.entries(regions)) addLevel(parent, list(children))
for (const [parent, { specific }] of Object.entries({ ...actions, ...activities }))
  addLevel(parent, list(specific))
addLevel(presence, [...Object.keys(actions), ...Object.keys(activities)])

/** The next more general word; undefined at the top. */
export const parent = (word: string): string | undefined => parentOf.get(word)

/** The next more specific words; none at the leaves. */
export const children = (word: string): readonly string[] => childrenOf.get(word) ?? []

/** The word and all more general words, in that order. */
export const lineage = (word: string): readonly string[] => {
  const above = parentOf.get(word)
  return above === undefined ? [word] : [word, ...lineage(above)]
}

/** Whether every `narrow` is a `wide`: a sparrow is an animal, and a sparrow. */
export const isA = (narrow: string, wide: string): boolean => lineage(narrow).includes(wide)

/** The leaves of the word's branch. */
export const leaves = (word: string): readonly string[] => {
  const below = children(word)
  return below.length === 0 ? [word] : below.flatMap(leaves)
}

const namesOf = ["woman", "man", "girl", "boy"]
export const names: readonly string[] = namesOf.flatMap(children)
const nameSet = new Set(names)
export const isName = (head: string): boolean => nameSet.has(head)

/** Kinds of people that have named members, so that "every woman" refers to someone. */
export const populated: readonly string[] = ["adult", "child", ...namesOf]

export const places: readonly string[] = Object.values(regions).flatMap(list)
export const largePlaces: readonly string[] = Object.keys(regions)

/** The kinds that a verb takes, as tops of the taxonomy; a null object means that it takes none. */
export interface Selection {
  readonly subject: readonly string[]
  readonly object: readonly string[] | null
}

const tops = (selection: string): readonly string[] => unions[selection] ?? [selection]
const selections = new Map<string, Selection>([[presence, { subject: tops("living"), object: null }]])
for (const [general, { specific, subject, object }] of Object.entries(actions)) {
  const selection = { subject: tops(subject), object: tops(object) }
  for (const verb of [general, ...list(specific)]) selections.set(verb, selection)
}
for (const [general, { specific, subject }] of Object.entries(activities)) {
  for (const verb of [general, ...list(specific)])
    selections.set(verb, { subject: tops(subject), object: null })
}

/** @throws RangeError if the word is not a verb */
export const selectionOf = (verb: string): Selection => {
  const selection = selections.get(verb)
  if (selection === undefined) throw new RangeError(`${verb} is not a verb of the toy language`)
  return selection
}

/** The general verbs with and without an object. */
export const transitives: readonly string[] = Object.keys(actions)
export const intransitives: readonly string[] = Object.keys(activities)

/** Adjectives whose meaning does not depend on the noun: a hungry sparrow is a hungry bird. */
const states = list("hungry thirsty tired happy sick angry nervous sleepy")
const looks = list("red white black yellow wet dirty warm cold")

export const adjectivesFor = (head: string): readonly string[] =>
  isName(head) ? [] : isA(head, "person") || isA(head, "animal") ? states : looks

const functionWords = list("a an the every no never and but were by in")

/** They come before the words, in the order of BERT's own special tokens. */
export const specialTokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const

/** Special tokens and all words: a token's id is its index. */
export const tokens: readonly string[] = [
  ...specialTokens,
  ...new Set([
    ...functionWords,
    ...Object.entries(kinds).flatMap(([head, below]) => [head, ...list(below)]),
    ...largePlaces,
    ...places,
    ...selections.keys(),
    ...states,
    ...looks,
  ]),
]
