/** Names of units for people: what distinguishes a unit from the others of its plan, and never less. */
import type { Labels } from "../api/plugin.ts"
import { printable, shortNumber } from "../io/format.ts"
import { inputsOf, neededBy, type Unit } from "./unit.ts"

/** A unit's place in a cohort. */
export interface Membership {
  readonly labels: Labels
  readonly seed: number
}

export interface LabelledUnit {
  readonly unit: Unit
  /** The options as the pipeline file gave them. */
  readonly given: Readonly<Record<string, unknown>>
  readonly memberships: readonly Membership[]
}

/** Longer options than this many characters are left out, unless nothing else distinguishes two units. */
const longestOption = 40
/** If a unit belongs to more values of a label than this, the others are left out. */
const mostValues = 3

/** The name of a label whose value is the seed; it comes last, so that a cohort is what has the same rest. */
const seedLabel = "seed"

/** A label without its seed: what the members of a cohort have in common. */
export const cohortLabel = (label: string): string => label.replace(/ seed=\S+$/, "")

/** The values of labels, and the seeds, of one or several memberships. */
interface Values {
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>
  readonly seeds: ReadonlySet<string>
}

const none: Values = { labels: new Map(), seeds: new Set() }

const isEmpty = ({ labels, seeds }: Values): boolean => labels.size === 0 && seeds.size === 0

const shown = (value: unknown): string =>
  typeof value === "number" ? shortNumber(value) : printable(String(value))

const union = (all: readonly Values[]): Values => {
  if (all.length < 2) return all[0] ?? none
  const labels = new Map<string, Set<string>>()
  const seeds = new Set<string>()
  const seen = new Set<Values["labels"]>()
  for (const each of all) {
    for (const seed of each.seeds) seeds.add(seed)
    // Those of the members of a cohort are the same ones.
    if (seen.has(each.labels)) continue
    seen.add(each.labels)
    for (const [name, some] of each.labels) {
      const known = labels.get(name) ?? new Set()
      for (const value of some) known.add(value)
      labels.set(name, known)
    }
  }
  return { labels, seeds }
}

/** The values of a membership. Many have the same ones, which are made once. */
const valuesOfMemberships = () => {
  const ofLabels = new Map<Labels, Values["labels"]>()
  const ofSeed = new Map<number, Values["seeds"]>()
  return ({ labels, seed }: Membership): Values => {
    const known =
      ofLabels.get(labels) ??
      new Map(
        Object.entries(labels).flatMap(([name, value]) =>
          name === seedLabel ? [] : [[name, new Set([shown(value)])] as const],
        ),
      )
    ofLabels.set(labels, known)
    const seeds = ofSeed.get(seed) ?? new Set([shown(seed)])
    ofSeed.set(seed, seeds)
    return { labels: known, seeds }
  }
}

/** Single values of nested options, by path: `steps.at` is `1,2`. */
const leavesOf = (options: unknown, path = ""): readonly (readonly [path: string, value: string])[] => {
  const plain = JSON.parse(JSON.stringify(options ?? null)) as unknown
  if (Array.isArray(plain) && plain.every((item) => typeof item !== "object" || item === null)) {
    return [[path, plain.length === 0 ? "none" : plain.map(shown).join(",")]]
  }
  if (typeof plain !== "object" || plain === null) return [[path, shown(plain)]]
  return Object.entries(plain).flatMap(([name, value]) =>
    leavesOf(value, path === "" ? name : `${path}.${name}`),
  )
}

/** The single values of a unit's options, by path. */
export const optionValues = (options: unknown): ReadonlyMap<string, string> => new Map(leavesOf(options))

/**
 * The labels of all units of a graph.
 *
 * A member of a cohort has the cohort's labels and its seed, and so have its probes or the run that it watches. Any other
 * unit has its options and, if only some of the cohorts need it or are part of it, the labels that those have in
 * common. Units that would still have the same label also have the options that differ or, failing that, their inputs.
 *
 * @param units each after its inputs
 */
export const labelsOf = (units: readonly LabelledUnit[]): ReadonlyMap<Unit, string> => {
  const valuesOf = valuesOfMemberships()
  const own = new Map(units.map(({ unit, memberships }) => [unit, union(memberships.map(valuesOf))]))
  const all = union([...own.values()])
  const watching = Map.groupBy(units, ({ unit }) => unit.watched)
  for (const [run, probes] of watching) {
    // A run and its probes belong together, whichever of them the pipeline has in a cohort.
    if (run !== null && isEmpty(own.get(run)!)) own.set(run, union(probes.map(({ unit }) => own.get(unit)!)))
    for (const { unit } of probes) {
      if (run !== null && isEmpty(own.get(unit)!)) own.set(unit, own.get(run)!)
    }
  }
  const around = placesOf(units, own)

  const parts = units.map(({ unit, given }): LabelParts => {
    const values = own.get(unit)!
    if (!isEmpty(values)) return { unit, words: wordsOf(values), seed: seedOf(values) }
    const place = around.get(unit)!
    const isTelling = (name: string, here: number, everywhere: number) =>
      !(name in given) && here > 0 && here <= mostValues && here < everywhere
    const some: Values = {
      // In the order of the pipeline, whatever needs the unit first.
      labels: new Map(
        [...all.labels].flatMap(([name, values]) => {
          const here = [...values].filter((value) => place.labels.get(name)?.has(value))
          return isTelling(name, here.length, values.size) ? [[name, new Set(here)] as const] : []
        }),
      ),
      seeds: isTelling(seedLabel, place.seeds.size, all.seeds.size)
        ? new Set([...all.seeds].filter((seed) => place.seeds.has(seed)))
        : none.seeds,
    }
    const { [seedLabel]: seed, ...options } = given
    const described = Object.entries(options).flatMap(([name, value]) =>
      ["string", "number", "boolean"].includes(typeof value) && String(value).length <= longestOption
        ? [`${name}=${shown(value)}`]
        : [],
    )
    return {
      unit,
      words: [...wordsOf(some), ...described],
      seed: seed === undefined ? seedOf(some) : `${seedLabel}=${shown(seed)}`,
    }
  })
  return distinguished(parts)
}

interface LabelParts {
  readonly unit: Unit
  readonly words: readonly string[]
  /** Empty if it has none, or many. */
  readonly seed: string
}

/** The labels of the cohorts that need a unit or, if none does, of those that it needs. */
const placesOf = (
  units: readonly LabelledUnit[],
  own: ReadonlyMap<Unit, Values>,
): ReadonlyMap<Unit, Values> => {
  const needing = new Map<Unit, Values[]>()
  const places = new Map<Unit, Values>()
  for (const { unit } of [...units].reverse()) {
    const values = own.get(unit)!
    const needed = unit.watched === null ? inputsOf(unit) : [...inputsOf(unit), unit.watched]
    const place = isEmpty(values)
      ? union(needing.get(unit) ?? needed.map((input) => own.get(input)!))
      : values
    places.set(unit, place)
    const unlabelled = needed.filter((input) => isEmpty(own.get(input)!))
    for (const input of unlabelled.length > 1 ? new Set(unlabelled) : unlabelled) {
      const known = needing.get(input)
      if (known === undefined) needing.set(input, [place])
      else known.push(place)
    }
  }
  return places
}

/** Of labels that many units have, made once. */
const words = new WeakMap<Values["labels"], readonly string[]>()
const wordsOf = ({ labels }: Values): readonly string[] => {
  const known = words.get(labels)
  if (known !== undefined) return known
  const made = [...labels].map(([name, values]) => {
    const some = [...values].slice(0, mostValues).join(",")
    return `${name}=${some}${values.size > mostValues ? ",…" : ""}`
  })
  words.set(labels, made)
  return made
}

const seedOf = ({ seeds }: Values): string =>
  seeds.size === 0 || seeds.size > mostValues ? "" : `${seedLabel}=${[...seeds].join(",")}`

/** Tells units of the same label apart, all members of a cohort in the same way. */
const distinguished = (all: readonly LabelParts[]): ReadonlyMap<Unit, string> => {
  const labels = new Map<Unit, string>()
  const textOf = ({ unit, words, seed }: LabelParts, more: readonly string[]) =>
    [unit.plugin.name, ...words, ...more, seed].filter((word) => word !== "").join(" ")
  const places = new Map(all.map((part, place) => [part, place]))
  const cohorts = [...Map.groupBy(all, ({ unit, words }) => [unit.plugin.name, ...words].join(" ")).values()]
  // Inputs first: their labels may be needed.
  cohorts.sort((a, b) => places.get(a.at(-1)!)! - places.get(b.at(-1)!)!)
  for (const cohort of cohorts) {
    const seeds = new Set(cohort.map(({ seed }) => seed))
    const more = seeds.size === cohort.length ? () => [] : distinction(cohort, labels)
    const times = new Map<string, number>()
    for (const part of cohort) {
      const words = more(part.unit)
      const text = textOf(part, words)
      const time = (times.get(text) ?? 0) + 1
      times.set(text, time)
      labels.set(part.unit, time === 1 ? text : textOf(part, [...words, `#${time}`]))
    }
  }
  return labels
}

/** What tells units of the same seed apart, for all units of their cohort. */
const distinction = (
  cohort: readonly LabelParts[],
  labels: ReadonlyMap<Unit, string>,
): ((unit: Unit) => readonly string[]) => {
  const same = [...Map.groupBy(cohort, ({ seed }) => seed).values()].filter(({ length }) => length > 1)
  const values = new Map(
    cohort.map(({ unit }) => {
      const inputs = Object.entries(neededBy(unit)).flatMap(([name, [only, ...others]]) =>
        only === undefined || others.length > 0 ? [] : [[name, `(${labels.get(only) ?? only.plugin.name})`]],
      )
      return [unit, new Map([...optionValues(unit.options), ...(inputs as [string, string][])])]
    }),
  )
  const names = [...new Set([...values.values()].flatMap((each) => [...each.keys()]))]
  // The seed comes last: a second run of a chain has another seed, beside what really tells it from the first.
  names.sort((a, b) => Number(a === seedLabel) - Number(b === seedLabel))
  const kinds = (group: readonly LabelParts[], chosen: readonly string[]) =>
    new Set(group.map(({ unit }) => chosen.map((name) => values.get(unit)!.get(name)).join("\0"))).size
  const differing = names.filter((name) => same.some((group) => kinds(group, [name]) > 1))
  const enough = differing.find((name) => same.every((group) => kinds(group, [name]) === group.length))
  const chosen = enough === undefined ? differing : [enough]
  return (unit) =>
    chosen.flatMap((name) => {
      const value = values.get(unit)!.get(name)
      return value === undefined ? [] : [`${name}=${value}`]
    })
}
