/**
 * Confounders of claims: what the two sides of a comparison differ in besides what the claim is declared to be about.
 * They do not make a claim wrong, but they may be its reason.
 */
import {
  type CohortPlace,
  type Difference,
  type Differences,
  mergedDifferences,
} from "../../../../core/api/difference.ts"
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
  const all = design[what].flatMap((of, i): readonly Placed[] =>
    "columns" in of && !canHave(of, where, column) ? [] : [{ labels: of.labels, place: places[what][i]! }],
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
  return found.length === 0 ? undefined : mergedDifferences(found.flat())
}

/** Whether observations may have rows of the column, at the step asked for. */
const canHave = (
  { columns, steps }: Design["observations"][number],
  { step }: Compared["where"],
  column: string | undefined,
): boolean =>
  (column === undefined || columns.length === 0 || columns.includes(column)) &&
  (typeof step !== "number" || steps === undefined || steps.includes(step))

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

// --- in words ----------------------------------------------------------------------------------------------

const listed = (words: readonly string[]): string =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`

const described = ({ name, first, second }: Difference): string => `${name} (${first} against ${second})`

/** What is told of sides that are confounded alike. */
const sentencesOf = (
  arms: readonly string[],
  { than, declared, undeclared, absent }: Confounded,
): readonly string[] => {
  const [differ, doNot] = arms.length === 1 ? ["differs", "does not"] : ["differ", "do not"]
  const besides = declared.filter((name) => !absent.includes(name))
  const confounders = listed(undeclared.map(described))
  return [
    ...(undeclared.length === 0
      ? []
      : besides.length === 0
        ? [`Confounders: ${listed(arms)} ${differ} from ${than} in ${confounders}, and nothing is declared`]
        : [
            `Confounders: besides ${listed(besides)}, ${listed(arms)} ${differ} from ${than} in ${confounders}, which may be the cause`,
          ]),
    ...(absent.length === 0
      ? []
      : [`${listed(arms)} ${doNot} differ from ${than} in ${listed(absent)}, though that is declared`]),
  ]
}

/** What is told of each of the claims by itself. */
export const confounderLimits = (
  confounded: readonly Confounded[],
): readonly { readonly limit: string; readonly claim: string }[] =>
  confounded.flatMap((each) =>
    sentencesOf([each.arm], each).map((sentence) => ({ limit: `${sentence}.`, claim: each.claim })),
  )

/**
 * What is told of all claims together: of those against the same side that are confounded by the same, whatever its
 * values, one sentence, with how many claims it is about.
 */
export const confounderSentences = (confounded: readonly Confounded[]): readonly string[] => {
  const seen = new Set<string>()
  const directed = confounded.map((each) => {
    const [sides, reversed] = [JSON.stringify([each.arm, each.than]), JSON.stringify([each.than, each.arm])]
    if (seen.has(reversed)) return turned(each)
    seen.add(sides)
    return each
  })
  const namesOf = (differences: readonly Difference[]) => differences.map(({ name }) => name)
  return [
    ...Map.groupBy(directed, ({ than, declared, undeclared, absent }) =>
      JSON.stringify([than, declared, namesOf(undeclared), absent]),
    ).values(),
  ].flatMap((alike) => {
    const arms = [...new Set(alike.map(({ arm }) => arm))]
    const undeclared = mergedDifferences(alike.flatMap((each) => each.undeclared))
    return sentencesOf(arms, { ...alike[0]!, undeclared }).map(
      (sentence) => `${sentence} (${plural(alike.length, "claim")}).`,
    )
  })
}

const turned = (confounded: Confounded): Confounded => ({
  ...confounded,
  arm: confounded.than,
  than: confounded.arm,
  undeclared: confounded.undeclared.map(({ name, first, second }) => ({
    name,
    first: second,
    second: first,
  })),
})
