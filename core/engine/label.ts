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

/** Values by label; the seed is one of them. */
type Values = ReadonlyMap<string, ReadonlySet<string>>

const shown = (value: unknown): string =>
  typeof value === "number" ? shortNumber(value) : printable(String(value))

const union = (all: readonly Values[]): Values => {
  if (all.length === 1) return all[0]!
  const values = new Map<string, Set<string>>()
  for (const each of all) {
    for (const [name, some] of each) {
      const known = values.get(name) ?? new Set()
      for (const value of some) known.add(value)
      values.set(name, known)
    }
  }
  return values
}

/** The values of a membership. Many have the same ones, which are made once. */
const valuesOfMemberships = () => {
  const single = new Map<unknown, ReadonlySet<string>>()
  const only = (value: unknown) => {
    const known = single.get(value) ?? new Set([shown(value)])
    single.set(value, known)
    return known
  }
  return ({ labels, seed }: Membership): Values => {
    const values = new Map<string, ReadonlySet<string>>()
    for (const name in labels) values.set(name, only(labels[name]))
    return values.set(seedLabel, only(seed))
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
    if (run !== null && own.get(run)!.size === 0)
      own.set(run, union(probes.map(({ unit }) => own.get(unit)!)))
    for (const { unit } of probes) {
      if (run !== null && own.get(unit)!.size === 0) own.set(unit, own.get(run)!)
    }
  }
  const around = placesOf(units, own)

  const parts = units.map(({ unit, given }): LabelParts => {
    const labels = own.get(unit)!
    if (labels.size > 0) return { unit, words: wordsOf(labels), seed: seedOf(labels) }
    const place = around.get(unit)!
    const some = new Map(
      // In the order of the pipeline, whatever needs the unit first.
      [...all].flatMap(([name, values]) => {
        const here = [...values].filter((value) => place.get(name)?.has(value))
        return name in given || here.length === 0 || here.length > mostValues || here.length === values.size
          ? []
          : [[name, new Set(here)] as const]
      }),
    )
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
    const labels = own.get(unit)!
    const needed = unit.watched === null ? inputsOf(unit) : [...inputsOf(unit), unit.watched]
    const place =
      labels.size > 0 ? labels : union(needing.get(unit) ?? needed.map((input) => own.get(input)!))
    places.set(unit, place)
    for (const input of new Set(needed)) {
      if (own.get(input)!.size > 0) continue
      const known = needing.get(input)
      if (known === undefined) needing.set(input, [place])
      else known.push(place)
    }
  }
  return places
}

const wordsOf = (labels: Values): readonly string[] =>
  [...labels].flatMap(([name, values]) => {
    if (name === seedLabel) return []
    const some = [...values].slice(0, mostValues).join(",")
    return [`${name}=${some}${values.size > mostValues ? ",…" : ""}`]
  })

const seedOf = (labels: Values): string => {
  const seeds = [...(labels.get(seedLabel) ?? [])]
  return seeds.length === 0 || seeds.length > mostValues ? "" : `${seedLabel}=${seeds.join(",")}`
}

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
    const same = [...Map.groupBy(cohort, ({ seed }) => seed).values()].filter(({ length }) => length > 1)
    const more = same.length === 0 ? () => [] : distinction(cohort, same, labels)
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

/** What tells the units of each of the groups `same` apart, for all units of their cohort. */
const distinction = (
  cohort: readonly LabelParts[],
  same: readonly (readonly LabelParts[])[],
  labels: ReadonlyMap<Unit, string>,
): ((unit: Unit) => readonly string[]) => {
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
