import { plural } from "../../../../core/io/format.ts"
import {
  type CrossedDifference,
  crossedInterval,
  crossedP,
  crossedSeedsNeeded,
} from "../statistics/crossed.ts"
import type { Ends } from "../statistics/interval.ts"
import { mean } from "../statistics/moments.ts"
import { signedRank } from "../statistics/signed-rank.ts"
import { type Finding, nothingFound, type TestResult } from "./claim.ts"
import type { Paired } from "./paired.ts"
import { number } from "./words.ts"

/** The name of the test of a crossed difference. */
export const crossedName = (one: string, checkpoints: readonly number[]): string =>
  checkpoints.every((count) => count === 1) ? one : "t test of crossed random effects, seeds × checkpoints"

export const meanOf = (values: readonly (readonly number[])[]): number => mean(values.map((row) => mean(row)))

/** The differences of the sides' means over their checkpoints, seed by seed. */
export const seedDifferences = ({ arm, than }: Paired): readonly number[] =>
  arm.values.map((row, s) => mean(row) - mean(than.values[s]!))

/** Wilcoxon's signed-rank test of differences by seed, and what it can reach. */
export const rankTest = (differences: readonly number[], conditional: boolean): TestResult => ({
  name: `exact signed-rank test by seeds${conditional ? ", for these checkpoints alone" : ""}`,
  p: signedRank(differences)?.p ?? 1,
  leastP: 2 ** (1 - differences.length),
})

/** That a test by ranks or signs cannot reach 1 − level with so few seeds; empty if it can. */
export const reachNote = (seeds: number, level: number): readonly string[] =>
  2 ** (1 - seeds) > 1 - level
    ? [
        `With ${plural(seeds, "seed")} the signed-rank test cannot give less than p = ${number(2 ** (1 - seeds))}: that the t test may decide rests on the differences being normal.`,
      ]
    : []

/** What a finding says of a crossed difference whose claim is that it has `sign`. */
export const crossedFinding = (
  crossed: CrossedDifference,
  level: number,
  sign: 1 | -1,
): Pick<Finding, "leans" | "seedsNeeded" | "missing"> & {
  readonly interval: Ends
  readonly p: number
} => ({
  interval: crossedInterval(crossed, level),
  p: crossedP(crossed),
  leans: crossed.difference === 0 ? null : crossed.difference * sign > 0 ? "for" : "against",
  seedsNeeded: crossedSeedsNeeded(crossed, level),
  missing: null,
})

export const oneSeed = (sample: Partial<Finding>): Finding =>
  nothingFound("One seed says nothing about others.", sample)
