import { Effect } from "effect"
import { describeLabels } from "../../../../core/api/pipeline.ts"
import type { CohortEstimated, CohortTaken, Labels, Outcome } from "../../../../core/api/plugin.ts"
import type { Cell, ObservationsEstimate, Row } from "../../../../core/artifacts/observations.ts"
import { InvalidInput } from "../../../../core/io/decode.ts"
import { plural, shortNumber } from "../../../../core/io/format.ts"
import { COLOURS, DASHES } from "../style.ts"
import type { Options } from "./options.ts"

/** What an axis, a colour or a panel stands for. */
export type Value = string | number | boolean

/** A number of a run, and where it is drawn. Colour and facet are null if the chart has none. */
export interface Point {
  readonly facet: Value | null
  readonly colour: Value | null
  readonly x: Value
  readonly y: number
  readonly cohort: Labels
  readonly seed: number
}

/** A run that was asked for and has nothing to draw, and why. */
export interface Missing {
  readonly run: string
  readonly status: "diverged" | "failed" | "empty"
  readonly reason: string
}

export interface Chosen {
  readonly points: readonly Point[]
  /** how many runs they are of */
  readonly runs: number
  readonly missing: readonly Missing[]
  /** How many rows have no place on the chart, by reason. */
  readonly leftOut: ReadonlyMap<string, number>
}

interface Member {
  readonly labels: Labels
  readonly seed: number
  readonly outcome: Outcome<readonly Row[]>
}

/** A row of a run. */
interface Entry {
  readonly labels: Labels
  readonly seed: number
  readonly row: Row
}

type Given = readonly CohortTaken<readonly Row[]>[]

/**
 * The points that the options ask for. Without a finished run there are none; whatever else leaves nothing to draw is
 * refused, as is what would draw something other than it seems to: several rows of a run at one place, or a mean over
 * cohorts that differ in more than their seeds.
 *
 * @throws InvalidInput with every problem that can be seen at once
 */
export const choosePoints = Effect.fn("choosePoints")(function* (options: Options, given: Given) {
  const refuse = (problems: readonly string[]) => refused(options, problems)
  const names = namesOf(given)
  const absent = absentLabels(options, names, membersOf(given))
  if (absent.length > 0) return yield* refuse(absent)
  const wanted = wantedRuns(options, names, given)
  const missing = missingOf(wanted)
  if (!wanted.some(({ outcome }) => outcome.status === "done")) return nothing(missing)

  const entries = wanted.flatMap(entriesOf)
  if (entries.length === 0) return yield* refuse(["the runs that finished have no rows"])
  const unknown = nameProblems(options, names)
  if (unknown.length > 0) return yield* refuse(unknown)
  const unmatched = absentCells(options, names, entries)
  if (unmatched.length > 0) return yield* refuse(unmatched)
  const kept = entries.filter((entry) => wantedOf(options).every((want) => isWanted(want, entry)))
  if (kept.length === 0) {
    return yield* refuse([`no row of a finished run matches all of where: ${JSON.stringify(options.where)}`])
  }
  const unfit = typeProblems(options, kept)
  if (unfit.length > 0) return yield* refuse(unfit)

  const placed = kept.map((entry) => ({ entry, ...place(options, entry) }))
  const leftOut = new Map<string, number>()
  for (const { why } of placed) if (why !== null) leftOut.set(why, (leftOut.get(why) ?? 0) + 1)
  const drawn = placed.flatMap(({ entry, point }) => (point === null ? [] : [{ entry, point }]))
  if (drawn.length === 0) {
    const reasons = [...leftOut].map(([why, count]) => `${plural(count, "row")} ${why}`)
    return yield* refuse([`nothing is left to draw: ${reasons.join(", ")}`])
  }
  const points = drawn.map(({ point }) => point)
  const unclear = [
    ...repeatedRows(options, drawn),
    ...(options.lines === "mean" ? mixedCohorts(points) : []),
    ...crowded(options, points),
  ]
  if (unclear.length > 0) return yield* refuse(unclear)
  return { points, runs: new Set(points.map(runOf)).size, missing, leftOut } satisfies Chosen
})

export const refused = ({ title }: Options, problems: readonly string[]) =>
  new InvalidInput({ what: `line-chart "${title}"`, problems })

/**
 * What is wrong before anything runs: names that are neither a column nor a label, labels and seeds that no cohort has.
 * Columns are compared only if the types of all rows name theirs.
 */
export const plannedProblems = (
  options: Options,
  given: readonly CohortEstimated<ObservationsEstimate>[],
): readonly string[] => {
  const rows = given.flatMap(({ members }) => members.map(({ estimate }) => estimate))
  const names = {
    labels: labelNamesOf(given),
    columns: [...new Set(rows.flatMap(({ columns }) => columns))],
  }
  const members = given.flatMap(({ labels, members }) => members.map(({ seed }) => ({ labels, seed })))
  const named = rows.length > 0 && rows.every(({ columns }) => columns.length > 0)
  return [...(named ? nameProblems(options, names) : []), ...absentLabels(options, names, members)]
}

const nothing = (missing: readonly Missing[]): Chosen => ({
  points: [],
  runs: 0,
  missing,
  leftOut: new Map(),
})

/** Texts that colours and dashes can tell apart, and panels that a page can hold. */
const mostColours = COLOURS.length * DASHES.length
const mostPanels = 60

// --- names -------------------------------------------------------------------------------------------------

interface Names {
  /** of the cohorts, and seed */
  readonly labels: readonly string[]
  /** of the rows */
  readonly columns: readonly string[]
}

const namesOf = (given: Given): Names => {
  const columns = [
    ...new Set(
      membersOf(given).flatMap((member) => entriesOf(member).flatMap(({ row }) => Object.keys(row))),
    ),
  ]
  return { labels: labelNamesOf(given), columns }
}

const labelNamesOf = (given: readonly { readonly labels: Labels }[]): readonly string[] => [
  ...new Set(given.flatMap(({ labels }) => Object.keys(labels))),
  "seed",
]

const membersOf = (given: Given): readonly Member[] =>
  given.flatMap(({ labels, members }) => members.map((member) => ({ labels, ...member })))

const entriesOf = ({ labels, seed, outcome }: Member): readonly Entry[] =>
  outcome.status === "done" ? outcome.value.map((row) => ({ labels, seed, row })) : []

/** The columns and labels that the options name, by the option. */
const namedBy = ({ x, y, colour, facet, where }: Options): readonly (readonly [string, string])[] => [
  ["x", x],
  ["y", y],
  ...(colour === undefined ? [] : [["colour", colour] as const]),
  ...(facet === undefined ? [] : [["facet", facet] as const]),
  ...Object.keys(where).map((name) => ["where", name] as const),
]

const nameProblems = (options: Options, { labels, columns }: Names): readonly string[] =>
  namedBy(options).flatMap(([option, name]) => {
    const [isLabel, isColumn] = [labels.includes(name), columns.includes(name)]
    if (isLabel && isColumn) {
      return [`${option}: ${name} is a column and a label; give the cohorts another label`]
    }
    return isLabel || isColumn
      ? []
      : [
          `${option}: there is no column or label ${name} (columns: ${columns.join(", ")}; labels: ${labels.join(", ")})`,
        ]
  })

/** undefined if the row has no such cell. */
const cellOf = ({ labels, seed, row }: Entry, name: string): Cell | undefined => {
  if (name === "seed") return seed
  return Object.hasOwn(labels, name) ? labels[name] : row[name]
}

// --- where -------------------------------------------------------------------------------------------------

interface Wanted {
  readonly name: string
  readonly values: readonly (Value | null)[]
}

const wantedOf = ({ where }: Options): readonly Wanted[] =>
  Object.entries(where).map(([name, given]) => ({ name, values: Array.isArray(given) ? given : [given] }))

const isWanted = ({ name, values }: Wanted, entry: Entry): boolean =>
  values.some((value) => value === cellOf(entry, name))

/** The members that `where` asks for by their labels and seeds. */
const wantedRuns = (options: Options, { labels: known }: Names, given: Given): readonly Member[] => {
  const wanted = wantedOf(options).filter(({ name }) => known.includes(name))
  return membersOf(given).filter(({ labels, seed }) =>
    wanted.every((want) => isWanted(want, { labels, seed, row: {} })),
  )
}

/** A value that there is not is probably a slip. */
const absentLabels = (
  options: Options,
  { labels }: Names,
  members: readonly Pick<Member, "labels" | "seed">[],
): readonly string[] =>
  wantedOf(options).flatMap((want) =>
    labels.includes(want.name)
      ? absentValues(
          "run",
          want,
          members.map((member) => cellOf({ ...member, row: {} }, want.name)),
        )
      : [],
  )

const absentCells = (options: Options, { columns }: Names, entries: readonly Entry[]): readonly string[] =>
  wantedOf(options).flatMap((want) =>
    columns.includes(want.name)
      ? absentValues(
          "row",
          want,
          entries.map((entry) => cellOf(entry, want.name)),
        )
      : [],
  )

const absentValues = (what: string, { name, values }: Wanted, found: readonly (Cell | undefined)[]) => {
  const there = new Set(found)
  const absent = values.filter((value) => !there.has(value))
  return absent.length === 0
    ? []
    : [`where: no ${what} has ${name} ${absent.map(textOf).join(" or ")} (found ${listOf(there)})`]
}

const listOf = (values: Iterable<Cell | undefined>): string => {
  const texts = [...values].flatMap((value) => (value === undefined ? [] : [textOf(value)]))
  return [...texts.slice(0, 8), ...(texts.length > 8 ? ["…"] : [])].join(", ")
}

/** A value in text, a learning rate as 1e-5: rounding errors in the last bits, as in 3 * 1e-5, do not appear. */
export const textOf = (value: Cell): string => {
  if (value instanceof Float64Array) return "an array"
  return typeof value === "number" ? shortNumber(Number(value.toPrecision(12))) : String(value)
}

// --- types -------------------------------------------------------------------------------------------------

const typeProblems = (options: Options, entries: readonly Entry[]): readonly string[] =>
  namedBy(options).flatMap(([option, name]) => {
    const found = new Set(entries.map((entry) => kindOf(cellOf(entry, name))))
    found.delete("nothing")
    const kinds = [...found]
    if (kinds.includes("arrays"))
      return [`${option}: ${name} contains arrays, which have no place on a chart`]
    if (option === "y" && kinds.some((kind) => kind !== "numbers")) {
      return [`y: expected a column of numbers, found ${kinds.join(" and ")} in ${name}`]
    }
    if (option === "where") return []
    if (kinds.length > 1)
      return [`${option}: expected values of one type, found ${kinds.join(" and ")} in ${name}`]
    return option === "x" && options.xScale === "log" && kinds[0] !== undefined && kinds[0] !== "numbers"
      ? [`xScale: a logarithmic axis needs numbers, found ${kinds[0]} in ${name}`]
      : []
  })

const kindOf = (value: Cell | undefined): "nothing" | "numbers" | "text" | "true or false" | "arrays" => {
  if (value === undefined || value === null) return "nothing"
  if (value instanceof Float64Array) return "arrays"
  if (typeof value === "number") return "numbers"
  return typeof value === "string" ? "text" : "true or false"
}

// --- points ------------------------------------------------------------------------------------------------

type Placed = { readonly point: Point; readonly why: null } | { readonly point: null; readonly why: string }

/** A row as a point, or why it has no place. */
const place = (options: Options, entry: Entry): Placed => {
  const nowhere = (why: string) => ({ point: null, why })
  // Arrays are refused before.
  const at = (name: string | undefined) =>
    name === undefined ? null : ((cellOf(entry, name) ?? undefined) as Value | undefined)
  const [x, y, colour, facet] = [options.x, options.y, options.colour, options.facet].map(at)
  if (x === undefined || x === null) return nowhere(`without ${options.x}`)
  if (typeof y !== "number") return nowhere(`without ${options.y}`)
  if (colour === undefined) return nowhere(`without ${options.colour}`)
  if (facet === undefined) return nowhere(`without ${options.facet}`)
  for (const [name, value, scale] of [
    [options.x, x, options.xScale],
    [options.y, y, options.yScale],
  ] as const) {
    if (typeof value !== "number") continue
    if (!Number.isFinite(value)) return nowhere(`whose ${name} is not finite`)
    if (scale === "log" && value <= 0) return nowhere(`whose ${name} is not above 0, on a logarithmic axis`)
  }
  return { point: { facet, colour, x, y, cohort: entry.labels, seed: entry.seed }, why: null }
}

/** Texts of both: two different places or runs never have the same. */
const placeOf = ({ facet, colour, x }: Point): string => JSON.stringify([facet, colour, x])
const runOf = ({ cohort, seed }: Point): string => JSON.stringify([Object.entries(cohort).sort(), seed])

/** Several rows of a run at one place: joined by a line, they would look like a course. */
const repeatedRows = (
  options: Options,
  drawn: readonly { readonly entry: Entry; readonly point: Point }[],
): readonly string[] => {
  const groups = Map.groupBy(drawn, ({ point }) => `${runOf(point)} ${placeOf(point)}`)
  const repeated = [...groups.values()].find((group) => group.length > 1)
  if (repeated === undefined) return []
  const [{ entry, point }] = repeated as [(typeof drawn)[number]]
  const used = new Set(namedBy(options).flatMap(([option, name]) => (option === "where" ? [] : [name])))
  const differing = [...new Set(repeated.flatMap((each) => Object.keys(each.entry.row)))].filter(
    (name) =>
      !used.has(name) &&
      repeated.every((each) => !(each.entry.row[name] instanceof Float64Array)) &&
      new Set(repeated.map((each) => each.entry.row[name])).size > 1,
  )
  const advice =
    differing.length === 0
      ? "they differ in nothing else: were the same observations given twice?"
      : `they differ in ${differing.join(", ")}: give what tells them apart as colour or facet, or choose with where`
  return [
    `${describeRun(entry.labels, entry.seed)} has ${repeated.length} rows at ${options.x} ${textOf(point.x)}; ${advice}`,
  ]
}

/**
 * A mean over runs that differ in a label too would hide what the label distinguishes. Checkpoints of one arm differ by
 * chance, as seeds do.
 */
const mixedCohorts = (points: readonly Point[]): readonly string[] => {
  for (const group of Map.groupBy(points, placeOf).values()) {
    const labels = [...new Set(group.flatMap(({ cohort }) => Object.keys(cohort)))].filter(
      (name) => name !== "checkpoint" && new Set(group.map(({ cohort }) => cohort[name])).size > 1,
    )
    if (labels.length === 0) continue
    const each = labels.map((name) => {
      const values = new Set(group.map(({ cohort }) => cohort[name]))
      return `${name} (${listOf(values)})`
    })
    return [
      `a mean over seeds would mix cohorts that differ in ${each.join(" and ")}: give that as colour or facet, choose one value with where, or draw every run with lines: "runs"`,
    ]
  }
  return []
}

/** Numbers may have any number of colours: their legend is continuous. */
const crowded = ({ colour, facet }: Options, points: readonly Point[]): readonly string[] => {
  const colours = new Set(points.map((point) => point.colour))
  const facets = new Set(points.map((point) => point.facet))
  const refuse = (option: string, name: string | undefined, { size }: ReadonlySet<unknown>, most: number) =>
    `${option}: ${name} has ${size} values, of which at most ${most} can be shown; choose with where`
  return [
    ...(colours.size > mostColours && typeof points[0]!.colour !== "number"
      ? [refuse("colour", colour, colours, mostColours)]
      : []),
    ...(facets.size > mostPanels ? [refuse("facet", facet, facets, mostPanels)] : []),
  ]
}

// --- runs without points -----------------------------------------------------------------------------------

/** `arm=vanilla lr=1e-5 seed 3` */
const describeRun = (labels: Labels, seed: number): string =>
  [describeLabels(labels), `seed ${seed}`].filter((text) => text !== "").join(" ")

/** Each run once, though several probes may have watched it. */
const missingOf = (members: readonly Member[]): readonly Missing[] => {
  const missing = members.flatMap(({ labels, seed, outcome }): readonly Missing[] => {
    const run = describeRun(labels, seed)
    if (outcome.status === "done") {
      return outcome.value.length === 0 ? [{ run, status: "empty", reason: "no rows" }] : []
    }
    const { status, reason, step } = outcome
    return [{ run, status, reason: step === undefined ? reason : `at step ${step}: ${reason}` }]
  })
  return [...new Map(missing.map((each) => [`${each.run} ${each.status}`, each])).values()]
}
