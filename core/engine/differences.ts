/**
 * What the cohorts that a report compares differ in: their units side by side, down to the data. A difference is named
 * once, where it comes in, and what only follows from it is not.
 */
import { normalize, sep } from "node:path"
import { isComponent } from "../api/component.ts"
import { type CohortPlace, type Difference, type Differences, mergedDifferences } from "../api/difference.ts"
import { anyObservations } from "../artifacts/observations.ts"
import type { Traits } from "../artifacts/traits.ts"
import { describeOptions } from "../io/options.ts"
import { optionValues } from "./label.ts"
import { neededBy, type Unit } from "./unit.ts"

/** Two units side by side. */
interface Compared {
  /** By how much they differ, so that of several ways to lay two chains side by side the closest is taken. */
  readonly distance: number
  /** Their own, and of all that they are made from. */
  readonly differences: readonly Difference[]
  /** Traits of what they give that differ and follow from no difference above. */
  readonly traits: ReadonlyMap<string, Difference>
}

const same: Compared = { distance: 0, differences: [], traits: new Map() }

/** The most by which two units of one plugin differ by themselves. */
const mostDistance = 3
/** Of two plugins in one place of a chain. */
const pluginDistance = 4
/** Of a unit that only one side has. Two of them are further apart than two plugins with whatever they take. */
const gapDistance = 10
/** Of two units in one place if the chain of one of them is not compared with anything. */
const lostDistance = 1000

/** The nearest unit of the same kind that a unit is made from, and the plugins that lie between, the last one first. */
interface Below {
  readonly unit: Unit
  readonly plugins: readonly string[]
}

/**
 * Compares the cohorts of a report. Pairs of units that many cohorts have in common are compared once, so that the work
 * grows with the number of the units.
 */
export const differencesOf = ({ inputs }: Pick<Unit, "inputs">): Differences => {
  const compare = comparing()
  const known = new Map<string, readonly Difference[]>()
  const membersOf = ({ input, index }: CohortPlace) => {
    const given = inputs[input]
    const found = given !== undefined && "cohorts" in given ? given.cohorts[index] : undefined
    if (found === undefined) throw new RangeError(`there is no cohort ${index} of ${input}`)
    return found.members
  }
  return (first, second) => {
    const pair = `${first.input} ${first.index} ${second.input} ${second.index}`
    const before = known.get(pair)
    if (before !== undefined) return before
    const partners = new Map(membersOf(second).map(({ seed, value }) => [seed, value]))
    const all = membersOf(first).flatMap(({ seed, value }) => {
      const partner = partners.get(seed)
      if (partner === undefined) return []
      const { differences, traits } = compare(value, partner)
      return [...differences, ...traits.values()]
    })
    const found = mergedDifferences(all)
    known.set(pair, found)
    return found
  }
}

const comparing = (): ((a: Unit, b: Unit) => Compared) => {
  const known = new Map<Unit, Map<Unit, Compared>>()
  const nearest = new Map<Unit, Map<string, readonly Below[]>>()

  const belowOf = (unit: Unit, kind = unit.plugin.gives.name): readonly Below[] => {
    const ofUnit = nearest.get(unit) ?? new Map<string, readonly Below[]>()
    nearest.set(unit, ofUnit)
    const before = ofUnit.get(kind)
    if (before !== undefined) return before
    const { name } = unit.plugin
    const found = Object.values(neededBy(unit)).flatMap((units) =>
      units.flatMap((input) =>
        input.plugin.gives.name === kind
          ? [{ unit: input, plugins: [name] }]
          : belowOf(input, kind).map((below) => ({ unit: below.unit, plugins: [name, ...below.plugins] })),
      ),
    )
    const distinct = [...new Map(found.map((below) => [below.unit, below])).values()]
    ofUnit.set(kind, distinct)
    return distinct
  }

  /** Whether a unit is of the kind of another, or made from one of it. */
  const leadsTo = (unit: Unit, { plugin: { gives } }: Unit): boolean =>
    unit.plugin.gives.name === gives.name || belowOf(unit, gives.name).length > 0

  /** Where in a study a unit is. */
  const placeOf = (unit: Unit): string => {
    const { stage, name, gives } = unit.plugin
    if (stage === "data") return gives.name
    if (stage === "finetune") return "fine-tuning"
    if (stage !== "pretrain" || gives.name === anyObservations.name) return name
    return belowOf(unit).length > 0 ? "further training" : "pretraining"
  }

  const compare = (a: Unit, b: Unit): Compared => {
    if (a === b || a.key === b.key) return same
    const ofUnit = known.get(a) ?? new Map<Unit, Compared>()
    known.set(a, ofUnit)
    const before = ofUnit.get(b)
    if (before !== undefined) return before
    const ways = [
      () => sideBySide(a, b),
      ...belowOf(a).map((below) => () => longer(a, below, b, "first")),
      ...belowOf(b).map((below) => () => longer(b, below, a, "second")),
    ]
    const found = ways
      .map((way) => way())
      .reduce((best, next) => (next.distance < best.distance ? next : best))
    ofUnit.set(b, found)
    return found
  }

  /** Two units in one place of their chains. */
  const sideBySide = (a: Unit, b: Unit): Compared => {
    const [place, samePlugin] = [placeOf(a), a.plugin === b.plugin]
    const own = [
      ...(samePlugin ? [] : [{ name: place, first: a.plugin.name, second: b.plugin.name }]),
      ...optionDifferences(a, b).map((each) => ({ ...each, name: `${each.name} of ${place}` })),
      ...(samePlugin ? [] : trainingDifferences(a, b, place)),
    ]
    const [inputs, others] = [neededBy(a), neededBy(b)]
    /** What only one of two plugins takes follows from their difference. */
    const taken = (name: string) => samePlugin || [a, b].every((unit) => namesTakenBy(unit).includes(name))
    const all = new Set([...Object.keys(inputs), ...Object.keys(others)])
    const below = [...all].flatMap((name): readonly Compared[] => {
      const [first = [], second = []] = [inputs[name], others[name]]
      const isTaken = taken(name)
      // Of cohorts, the members in their order.
      const pairs = Array.from({ length: isTaken ? Math.min(first.length, second.length) : 0 }, (_, i) =>
        compare(first[i]!, second[i]!),
      )
      const [one, other] = [first.slice(pairs.length), second.slice(pairs.length)]
      if (one.length + other.length === 0) return pairs
      const lacking = {
        name: `${name} of ${place}`,
        first: one[0]?.plugin.name ?? "none",
        second: other[0]?.plugin.name ?? "none",
      }
      const distance = [...one, ...other].some((input) => leadsTo(input, a)) ? lostDistance : mostDistance
      return [...pairs, { ...same, distance, differences: isTaken ? [lacking] : [] }]
    })
    return {
      distance:
        (samePlugin ? Math.min(mostDistance, own.length) : pluginDistance) +
        below.reduce((sum, { distance }) => sum + distance, 0),
      differences: distinctOf([
        ...(a.plugin.stage === "data" && own.length > 0 ? [asOne(place, own)] : own),
        ...below.flatMap(({ differences }) => differences),
      ]),
      traits: traitsOf(a, b, samePlugin, new Map(below.flatMap(({ traits }) => [...traits]))),
    }
  }

  /** A chain beside one that lacks its last unit. */
  const longer = (a: Unit, { unit, plugins }: Below, b: Unit, side: "first" | "second"): Compared => {
    const [first, second] = side === "first" ? ([a, b] as const) : ([b, a] as const)
    const rest = side === "first" ? compare(unit, b) : compare(b, unit)
    const more = [...plugins].reverse().join(" → ")
    const gap = { name: placeOf(a), first: "none", second: "none", [side]: more }
    return {
      distance: gapDistance + rest.distance,
      differences: distinctOf([gap, ...rest.differences]),
      traits: traitsOf(first, second, false, rest.traits),
    }
  }

  return compare
}

const distinctOf = (all: readonly Difference[]): readonly Difference[] =>
  all.length < 2 ? all : [...new Map(all.map((each) => [JSON.stringify(Object.values(each)), each])).values()]

/** Data are one thing to a study, whatever of them differs. */
const asOne = (name: string, own: readonly Difference[]): Difference => {
  const textOf = (side: "first" | "second") =>
    own
      .map((each) => (each.name === name ? each[side] : `${each.name.replace(/ of .*$/, "")} ${each[side]}`))
      .join(" ")
  return { name, first: textOf("first"), second: textOf("second") }
}

const namesTakenBy = ({ plugin: { takes, watches } }: Unit): readonly string[] => [
  ...Object.keys(takes),
  ...(watches === undefined ? [] : [watches]),
]

/** Options that differ; of two plugins, those that both have. */
const optionDifferences = (a: Unit, b: Unit): readonly Difference[] => {
  const names =
    a.plugin === b.plugin
      ? new Set([...Object.keys(a.options), ...Object.keys(b.options)])
      : optionsOf(a).intersection(optionsOf(b))
  return [...names].flatMap((name): readonly Difference[] => {
    const [first, second] = [a.options[name], b.options[name]]
    if (areSame(first, second)) return []
    // Where files are does not matter, but what is in them does.
    const files = [filesUnder(first, a), filesUnder(second, b)] as const
    if (files[0].length > 0 && JSON.stringify(files[0]) === JSON.stringify(files[1])) return []
    const [ofFirst, ofSecond] = [leavesOf(first), leavesOf(second)]
    const differ = [...new Set([...ofFirst.keys(), ...ofSecond.keys()])].filter(
      (path) => ofFirst.get(path) !== ofSecond.get(path),
    )
    const textOf = (leaves: ReadonlyMap<string, string>) =>
      differ
        .flatMap((path) => {
          const value = leaves.get(path)
          return value === undefined ? [] : [path === "" ? value : `${path} ${value}`]
        })
        .join(", ") || "none"
    return [{ name, first: textOf(ofFirst), second: textOf(ofSecond) }]
  })
}

/** Whether two values of an option are the same. Many are compared, so they are not made into texts. */
const areSame = (first: unknown, second: unknown): boolean => {
  if (first === second) return true
  if (typeof first !== "object" || typeof second !== "object" || first === null || second === null)
    return false
  if (isComponent(first) || isComponent(second)) {
    if (!isComponent(first) || !isComponent(second)) return false
    return first.name === second.name && first.role === second.role && areSame(first.options, second.options)
  }
  const [names, others] = [Object.keys(first), Object.keys(second)]
  const memberOf = (from: object, name: string) => (from as Readonly<Record<string, unknown>>)[name]
  return (
    names.length === others.length &&
    names.every(
      (name) => Object.hasOwn(second, name) && areSame(memberOf(first, name), memberOf(second, name)),
    )
  )
}

const optionNames = new WeakMap<object, ReadonlySet<string>>()

const optionsOf = ({ plugin }: Unit): ReadonlySet<string> => {
  const before = optionNames.get(plugin)
  if (before !== undefined) return before
  const names = new Set(describeOptions(plugin.options).map(({ name }) => name))
  optionNames.set(plugin, names)
  return names
}

const leavesOf = (value: unknown): ReadonlyMap<string, string> =>
  value === undefined ? new Map() : optionValues(value)

/** The digests of the files that a unit reads at a path, or under it, if an option is one. */
const filesUnder = (value: unknown, { parts: { read } }: Unit): readonly string[] => {
  if (typeof value !== "string") return []
  const path = normalize(value)
  const folder = path.endsWith(sep) ? path : `${path}${sep}`
  return Object.entries(read).flatMap(([each, digest]) => {
    const file = normalize(each)
    return file === path || file.startsWith(folder) ? [digest] : []
  })
}

/** What an estimate says of its artifact besides sizes, if it says anything. */
const saidOf = (unit: Unit, what: "traits" | "training"): Traits | undefined => {
  const { estimate } = unit
  if (typeof estimate !== "object" || estimate === null) return undefined
  return (estimate as { readonly [N in typeof what]?: Traits })[what]
}

/** What both say, and differently. */
const differingIn = (first: Traits = {}, second: Traits = {}): readonly Difference[] =>
  Object.keys(first).flatMap((name) => {
    const [one, other] = [first[name]!, second[name]]
    return other === undefined || one === other ? [] : [{ name, first: one, second: other }]
  })

const trainingDifferences = (a: Unit, b: Unit, place: string): readonly Difference[] =>
  differingIn(saidOf(a, "training"), saidOf(b, "training")).map((each) => ({
    ...each,
    name: `${each.name} of ${place}`,
  }))

/**
 * Traits of what two units give that differ. Where the plugin is the same, a trait that differs for the first time is
 * due to an option or an input that is named already. What says nothing of traits hands on those of its inputs.
 */
const traitsOf = (
  a: Unit,
  b: Unit,
  samePlugin: boolean,
  below: ReadonlyMap<string, Difference>,
): ReadonlyMap<string, Difference> => {
  const [first, second] = [saidOf(a, "traits"), saidOf(b, "traits")]
  if (first === undefined && second === undefined) return below
  const own = differingIn(first, second).filter(({ name }) => !samePlugin || below.has(name))
  return new Map(own.map((each) => [each.name, each]))
}
