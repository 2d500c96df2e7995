import type { Labels } from "../../../../core/api/plugin.ts"
import { plural } from "../../../../core/io/format.ts"
import type { Stratum } from "../statistics/association.ts"
import { mean } from "../statistics/moments.ts"
import type { Design } from "./claim.ts"
import type { Value } from "./paired.ts"
import { runKey } from "./quantity.ts"

/** Two numbers for each run, cohort by cohort. */
export interface Joined {
  /** Ascending: those that every cohort has both numbers of. */
  readonly seeds: readonly number[]
  /** One for each cohort, [seeds]. */
  readonly strata: readonly (Stratum & { readonly labels: Labels })[]
  /** Seeds that a cohort lacks a number of. */
  readonly incomplete: number
}

/**
 * Joins the numbers of the same runs. Labels in `dropped`, by which one of the two was selected, need not be equal: a
 * rank observed at the first learning rate belongs to the runs at all of them. Parts are averaged.
 *
 * @returns why nothing can be joined, if nothing can
 */
export const join = (
  x: readonly Value[],
  y: readonly Value[],
  dropped: ReadonlySet<string>,
): Joined | string => {
  const keyOf = ({ labels, seed }: Value) =>
    runKey(Object.fromEntries(Object.entries(labels).filter(([name]) => !dropped.has(name))), seed)
  const byKey = grouped(x, keyOf)
  const cohorts = new Map<string, { labels: Labels; runs: Map<number, { x: number; y: number }> }>()
  const seeds = new Set<number>()
  for (const [, ofRun] of grouped(y, ({ labels, seed }) => runKey(labels, seed))) {
    const { labels, seed } = ofRun[0]!
    const others = byKey.get(keyOf(ofRun[0]!))
    seeds.add(seed)
    const cohort = runKey(labels, null)
    if (!cohorts.has(cohort)) cohorts.set(cohort, { labels, runs: new Map() })
    if (others === undefined) continue
    cohorts.get(cohort)!.runs.set(seed, { x: average(others), y: average(ofRun) })
  }
  const known = [...cohorts].filter(([, { runs }]) => runs.size > 0).sort(([a], [b]) => (a < b ? -1 : 1))
  if (known.length === 0) return "No run has both."
  const all = [...seeds].sort((a, b) => a - b)
  const shared = all.filter((seed) => known.every(([, { runs }]) => runs.has(seed)))
  if (shared.length === 0) return "No seed has both in every cohort."
  return {
    seeds: shared,
    strata: known.map(([, { labels, runs }]) => ({
      labels,
      x: shared.map((seed) => runs.get(seed)!.x),
      y: shared.map((seed) => runs.get(seed)!.y),
    })),
    incomplete: all.length - shared.length,
  }
}

/** How many seeds all cohorts of a design have: no more can be joined. */
export const sharedSeeds = (cohorts: Design["observations"] | Design["runs"]): number => {
  const [first, ...others] = cohorts.map(({ seeds }) => seeds)
  return (first ?? []).filter((seed) => others.every((seeds) => seeds.includes(seed))).length
}

const grouped = (values: readonly Value[], keyOf: (value: Value) => string): Map<string, Value[]> => {
  const groups = new Map<string, Value[]>()
  for (const value of values) {
    const key = keyOf(value)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [value])
    else group.push(value)
  }
  return groups
}

const average = (values: readonly Value[]): number =>
  mean(values.map(({ value }) => value).sort((a, b) => a - b))

/** What findings within cohorts say of their sample. */
export const joinedNotes = ({ strata, incomplete }: Joined): readonly string[] => {
  const checkpoints = new Set(
    strata.map(({ labels }) => JSON.stringify([labels["arm"], labels["checkpoint"]])),
  ).size
  return [
    `Within ${plural(strata.length, "cohort")}; a permutation moves the seeds of all alike.`,
    `It is about ${checkpoints === 1 ? "this model" : `these ${checkpoints} models`} before fine-tuning, not about others.`,
    ...(incomplete === 0 ? [] : [`${plural(incomplete, "seed")} without all numbers left out.`]),
  ]
}
