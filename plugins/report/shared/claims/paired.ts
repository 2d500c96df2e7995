import { describeLabels } from "../../../../core/api/pipeline.ts"
import type { Labels } from "../../../../core/api/plugin.ts"
import { plural } from "../../../../core/io/format.ts"
import { mean } from "../statistics/moments.ts"
import type { Design, Finding } from "./claim.ts"
import { labelsOfSide, matches, nameOfSide, type Side, type Where } from "./evidence.ts"

/** A number of one run, or of one row of a run. */
export interface Value {
  readonly labels: Labels
  readonly seed: number
  /** What else must be equal to be paired, such as the layer of a row. */
  readonly part: string
  readonly value: number
}

/** A value for every seed and every checkpoint of a side. */
export interface SideValues {
  readonly name: string
  /** The values of the label `checkpoint`, ascending; `[null]` if the side has no such label. */
  readonly checkpoints: readonly (string | number | null)[]
  /** [seeds][checkpoints], the mean over the strata */
  readonly values: readonly (readonly number[])[]
}

/** Two sides, seed by seed: equal seeds give equal head, order and dropout streams. */
export interface Paired {
  /** Ascending. */
  readonly seeds: readonly number[]
  readonly arm: SideValues
  readonly than: SideValues
  /** What both sides have besides seeds and checkpoints, such as learning rates or layers. */
  readonly strata: number
  /** The different parts among them. */
  readonly parts: number
  /** Seeds that a side has and that lack a value somewhere. */
  readonly incomplete: number
}

/**
 * Pairs the values of two sides: by seed and by every label that is neither one of a side's nor `checkpoint`, and by
 * part. A value of one stratum is averaged with those of the other strata of its seed and checkpoint, so that a seed is
 * one observation, whatever was measured of it. Seeds without a value at some checkpoint or stratum are left out.
 *
 * @param where what the values were selected by, in words
 * @returns why nothing can be paired, in a sentence, if nothing can
 */
export const pair = (values: readonly Value[], arm: Side, than: Side, where: string): Paired | string => {
  const named = new Set(["checkpoint", ...Object.keys(labelsOfSide(arm)), ...Object.keys(labelsOfSide(than))])
  const [first, second] = [arm, than].map((side) => table(values, side, named)) as [Table, Table]
  for (const { name, cells } of [first, second]) {
    if (cells.size === 0) return `There is no value of ${name}${where}.`
  }
  const strata = [...first.strata].filter((stratum) => second.strata.has(stratum)).sort()
  if (strata.length === 0) return `${first.name} and ${second.name} have nothing in common but seeds${where}.`
  const all = [...new Set([...first.seeds, ...second.seeds])].sort((a, b) => a - b)
  const shared = all.filter((seed) => [first, second].every((side) => isComplete(side, seed, strata)))
  if (shared.length === 0) {
    const mixed = [first, second].find(
      ({ checkpoints }) => checkpoints.length > 1 && checkpoints.includes(null),
    )
    return mixed === undefined
      ? `${first.name} and ${second.name} share no seed with all values${where}.`
      : `${mixed.name} has runs with and without a checkpoint's seed${where}, so they do not pair; choose one arm by where.`
  }
  return {
    seeds: shared,
    arm: sideValues(first, shared, strata),
    than: sideValues(second, shared, strata),
    strata: strata.length,
    parts: new Set(strata.map((stratum) => partOf(stratum))).size,
    incomplete: all.length - shared.length,
  }
}

interface Table {
  readonly name: string
  readonly checkpoints: readonly (string | number | null)[]
  readonly seeds: ReadonlySet<number>
  readonly strata: ReadonlySet<string>
  /** By checkpoint, seed and stratum. */
  readonly cells: ReadonlyMap<string, readonly number[]>
}

const cellKey = (checkpoint: string | number | null, seed: number, stratum: string) =>
  JSON.stringify([checkpoint, seed, stratum])

const table = (values: readonly Value[], side: Side, named: ReadonlySet<string>): Table => {
  const ofSide = values.filter(({ labels }) => matches(labelsOfSide(side), labels))
  const cells = new Map<string, number[]>()
  const strata = new Set<string>()
  for (const { labels, seed, part, value } of ofSide) {
    const others = Object.entries(labels).filter(([name]) => !named.has(name))
    const stratum = JSON.stringify([others.sort(([a], [b]) => (a < b ? -1 : 1)), part])
    strata.add(stratum)
    const key = cellKey(labels["checkpoint"] ?? null, seed, stratum)
    const cell = cells.get(key)
    if (cell === undefined) cells.set(key, [value])
    else cell.push(value)
  }
  const checkpoints = [...new Set(ofSide.map(({ labels }) => labels["checkpoint"] ?? null))]
  return {
    name: nameOfSide(side),
    checkpoints: checkpoints.sort(ascending),
    seeds: new Set(ofSide.map(({ seed }) => seed)),
    strata,
    cells,
  }
}

const partOf = (stratum: string): string => JSON.parse(stratum)[1]

const ascending = (a: string | number | null, b: string | number | null): number =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : 1

const isComplete = ({ checkpoints, cells }: Table, seed: number, strata: readonly string[]): boolean =>
  checkpoints.every((checkpoint) => strata.every((stratum) => cells.has(cellKey(checkpoint, seed, stratum))))

const sideValues = (
  { name, checkpoints, cells }: Table,
  seeds: readonly number[],
  strata: readonly string[],
): SideValues => ({
  name,
  checkpoints,
  values: seeds.map((seed) =>
    checkpoints.map((checkpoint) =>
      mean(strata.map((stratum) => mean(sorted(cells.get(cellKey(checkpoint, seed, stratum))!)))),
    ),
  ),
})

/** So that sums do not depend on the order of the evidence. */
const sorted = (values: readonly number[]): readonly number[] => [...values].sort((a, b) => a - b)

export const whereText = (where: Where): string =>
  Object.keys(where).length === 0
    ? ""
    : ` at ${Object.entries(where)
        .map(([name, value]) =>
          typeof value === "number" ? describeLabels({ [name]: value }) : `${name}=${value}`,
        )
        .join(" ")}`

/** What every finding of a comparison says of its sample. */
export const sampleOf = (paired: Paired): Pick<Finding, "seeds" | "checkpoints" | "notes"> => {
  const { seeds, arm, than, incomplete } = paired
  const single = [arm, than].filter(
    ({ checkpoints: [only, ...others] }) => only !== null && others.length === 0,
  )
  return {
    seeds: seeds.length,
    checkpoints: [arm, than].map(({ name, checkpoints }) => ({ arm: name, count: checkpoints.length })),
    notes: [
      ...single.map(({ name }) => oneCheckpoint(name)),
      ...(incomplete === 0 ? [] : [`${plural(incomplete, "seed")} without all values left out.`]),
    ],
  }
}

const oneCheckpoint = (name: string) =>
  `${name} has one checkpoint: the finding is about that checkpoint, not about the method that made it.`

/** The seeds and checkpoints of a comparison, before anything runs. */
export interface PlannedPair {
  readonly seeds: number
  readonly armCheckpoints: number
  readonly thanCheckpoints: number
  readonly limits: readonly string[]
}

/** That the power for the paper's effect is not known, where a side has several checkpoints; empty if none has. */
export const unknownPower = ({ armCheckpoints, thanCheckpoints }: PlannedPair): readonly string[] =>
  armCheckpoints > 1 || thanCheckpoints > 1
    ? [
        "The paper has one checkpoint a model and so does not say how much checkpoints differ: the power for its effect is not known.",
      ]
    : []

/** What a design has of two sides; null, with the reason as its limit, if they share no seed. */
export const planPair = (cohorts: Design["runs"], arm: Side, than: Side, where: Where): PlannedPair => {
  const wanted = cohorts.filter(({ labels }) => matches(where, labels))
  const of = (side: Side) => {
    const cohortsOfSide = wanted.filter(({ labels }) => matches(labelsOfSide(side), labels))
    const checkpoints = new Set(cohortsOfSide.map(({ labels }) => labels["checkpoint"] ?? null))
    return { seeds: cohortsOfSide.flatMap(({ seeds }) => seeds), checkpoints }
  }
  const [first, second] = [of(arm), of(than)]
  const seeds = new Set(first.seeds.filter((seed) => second.seeds.includes(seed))).size
  const single = [
    { side: arm, ...first },
    { side: than, ...second },
  ].filter(({ checkpoints }) => checkpoints.size === 1 && !checkpoints.has(null))
  return {
    seeds,
    armCheckpoints: first.checkpoints.size,
    thanCheckpoints: second.checkpoints.size,
    limits:
      seeds === 0
        ? [
            `No seed of ${nameOfSide(arm)} and ${nameOfSide(than)}${whereText(where)} is shared, so it cannot be told.`,
          ]
        : single.map(({ side }) => oneCheckpoint(nameOfSide(side)).replace("the finding is", "a finding is")),
  }
}
