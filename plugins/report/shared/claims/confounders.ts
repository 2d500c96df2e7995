/**
 * Confounders of claims: what the two sides of a comparison differ in besides what the claim is declared to be about.
 * They do not make a claim wrong, but they may be its reason.
 */
import type { CohortPlace, Difference, Differences } from "../../../../core/api/difference.ts"
import type { Labels } from "../../../../core/api/plugin.ts"
import { plural } from "../../../../core/io/format.ts"
import type { Claim, Compared, Design } from "./claim.ts"
import { matches } from "./evidence.ts"

/** A claim whose sides differ in something else than it is declared to be about, or not in all of that. */
export interface Confounded {
  /** The claim's statement. */
  readonly claim: string
  readonly arm: string
  readonly than: string
  readonly declared: readonly string[]
  readonly undeclared: readonly Difference[]
  /** Declared, but both sides have the same. */
  readonly absent: readonly string[]
}

/** Where a report's inputs have the cohorts of its design, in the design's order: names of inputs with their cohorts. */
export interface Places {
  readonly runs: readonly CohortPlace[]
  readonly observations: readonly CohortPlace[]
}

/** The places of the cohorts of several inputs, one input after the other. */
export const placesOf = (inputs: Readonly<Record<string, readonly unknown[]>>): readonly CohortPlace[] =>
  Object.entries(inputs).flatMap(([input, cohorts]) => cohorts.map((_, index) => ({ input, index })))

/** The claims that are confounded. Of claims that compare no two sides, none is. */
export const confoundedClaims = (
  claims: readonly Claim[],
  design: Design,
  places: Places,
  differences: Differences,
): readonly Confounded[] => {
  const known = new Map<string, readonly Difference[]>()
  return claims.flatMap(({ statement, compared }) => {
    if (compared === undefined) return []
    const { arm, than, differs } = compared
    const key = JSON.stringify({ ...compared, differs: [] })
    const found = known.get(key) ?? differencesBetween(compared, design, places, differences)
    if (found === undefined) return []
    known.set(key, found)
    const undeclared = found.filter(({ name }) => !differs.includes(name))
    const absent = differs.filter((name) => !found.some((each) => each.name === name))
    if (undeclared.length + absent.length === 0) return []
    const sides = { arm: arm.name, than: than.name }
    return [{ claim: statement, ...sides, declared: differs, undeclared, absent }]
  })
}

interface Placed {
  readonly labels: Labels
  readonly place: CohortPlace
}

/** What the two sides differ in; undefined if no two cohorts of them make a pair. */
const differencesBetween = (
  { what, arm, than, where, column }: Compared,
  design: Design,
  places: Places,
  differences: Differences,
): readonly Difference[] | undefined => {
  const columns = (i: number) => (what === "runs" ? [] : design.observations[i]!.columns)
  const all = design[what].flatMap(({ labels }, i): readonly Placed[] =>
    column === undefined || columns(i).length === 0 || columns(i).includes(column)
      ? [{ labels, place: places[what][i]! }]
      : [],
  )
  const compared = { ...arm.labels, ...than.labels }
  const sideOf = (side: Labels) =>
    all.filter(({ labels }) => {
      // What else is asked for are cells of rows, which are the same on both sides.
      const ofLabels = Object.entries(where).filter(([name]) => Object.hasOwn(labels, name))
      return matches({ ...Object.fromEntries(ofLabels), ...side }, labels)
    })
  const [first, second] = [sideOf(arm.labels), sideOf(than.labels)]
  const names = pairingLabels(first, second).filter((name) => !Object.hasOwn(compared, name))
  const always = names.filter((name) => [...first, ...second].every(({ labels }) => name in labels))
  const groupOf = ({ labels, place: { input } }: Placed) =>
    JSON.stringify([input, ...always.map((name) => labels[name])])
  const partners = Map.groupBy(second, groupOf)
  const found = first.flatMap((one) => {
    const candidates = (partners.get(groupOf(one)) ?? []).filter(({ labels }) =>
      names.every((name) => !(name in labels) || !(name in one.labels) || labels[name] === one.labels[name]),
    )
    return candidates.length === 0 ? [] : [closest(one, candidates, differences)]
  })
  return found.length === 0 ? undefined : merged(found.flat())
}

/** Labels of both sides by which cohorts can be paired: some value of theirs is on both. */
const pairingLabels = (first: readonly Placed[], second: readonly Placed[]): readonly string[] => {
  const valuesOf = (side: readonly Placed[]) => {
    const values = new Map<string, Set<string | number>>()
    for (const { labels } of side) {
      for (const [name, value] of Object.entries(labels))
        values.set(name, (values.get(name) ?? new Set()).add(value))
    }
    return values
  }
  const [ofFirst, ofSecond] = [valuesOf(first), valuesOf(second)]
  return [...ofFirst].flatMap(([name, values]) =>
    values.isDisjointFrom(ofSecond.get(name) ?? new Set()) ? [] : [name],
  )
}

/** Of cohorts with the same labels, such as those of several probes, the one that differs in the least. */
const closest = (
  one: Placed,
  candidates: readonly Placed[],
  differences: Differences,
): readonly Difference[] =>
  candidates
    .map(({ place }) => differences(one.place, place))
    .reduce((best, next) => (next.length < best.length ? next : best))

/** One difference for each name, with its values on the first cohorts that differ in it. */
const merged = (all: readonly Difference[]): readonly Difference[] =>
  [...new Map([...all].reverse().map((each) => [each.name, each])).values()].reverse()

// --- in words ----------------------------------------------------------------------------------------------

const listed = (words: readonly string[]): string =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`

const describe = ({ name, first, second }: Difference): string => `${name} (${first}; ${second})`

/** What is told of sides that are confounded alike. */
const sentencesOf = (
  arms: readonly string[],
  { than, declared, undeclared, absent }: Confounded,
): readonly string[] => {
  const sides = `${listed(arms)} and ${than}`
  const besides = declared.filter((name) => !absent.includes(name))
  return [
    ...(undeclared.length === 0
      ? []
      : [
          besides.length === 0
            ? `Confounders: ${sides} differ in ${listed(undeclared.map(describe))}, of which nothing is declared`
            : `Confounders: besides ${listed(besides)}, ${sides} differ in ${listed(undeclared.map(describe))}, which may be the cause`,
        ]),
    ...(absent.length === 0
      ? []
      : [`It is declared that ${sides} differ in ${listed(absent)}, but they do not`]),
  ]
}

/** What is told of each of the claims by itself. */
export const confounderLimits = (
  confounded: readonly Confounded[],
): readonly { readonly limit: string; readonly claim: string }[] =>
  confounded.flatMap((each) =>
    sentencesOf([each.arm], each).map((sentence) => ({ limit: `${sentence}.`, claim: each.claim })),
  )

/** What is told of all claims together: each sentence once, with how many claims it is about. */
export const confounderSentences = (confounded: readonly Confounded[]): readonly string[] =>
  [
    ...Map.groupBy(confounded, ({ than, declared, undeclared, absent }) =>
      JSON.stringify([than, declared, undeclared, absent]),
    ).values(),
  ].flatMap((alike) =>
    sentencesOf([...new Set(alike.map(({ arm }) => arm))], alike[0]!).map(
      (sentence) => `${sentence} (${plural(alike.length, "claim")}).`,
    ),
  )
