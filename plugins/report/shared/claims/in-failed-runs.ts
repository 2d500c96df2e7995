import { type } from "arktype"
import { component } from "../../../../core/api/component.ts"
import { plural } from "../../../../core/io/format.ts"
import {
  correlationSeeds,
  differenceInterval,
  differenceWithin,
  leastPermutationP,
  meansWithin,
  permutationP,
  ranks,
} from "../statistics/association.ts"
import { type ClaimFunctions, type Finding, nothingFound } from "./claim.ts"
import { failuresOf } from "./fewer-failures.ts"
import { plannedQuantity, Quantity, quantityText, valuesOfQuantity } from "./quantity.ts"
import { type Joined, join, joinedNotes, sharedSeeds } from "./strata.ts"
import { capitalised, number } from "./words.ts"

/**
 * What a probe observed is lower, or higher, in runs that failed than in the others of the same cohort. The ranks of
 * each cohort are compared by permuting seeds, in all cohorts alike; cohorts in which all runs failed, or none, say
 * nothing.
 */
export const inFailedRuns = component({
  role: "claim",
  name: "in-failed-runs",
  module: import.meta.url,
  options: type({
    "...": Quantity,
    "+": "reject",
    direction: "'lower' | 'higher'",
    "family?": "string > 0",
  }),
  make: (options): ClaimFunctions => {
    const { direction } = options
    const sign = direction === "higher" ? 1 : -1
    return {
      statement: `${capitalised(quantityText(options))} is ${direction} in runs that failed than in others of the same cohort.`,
      family: options.family ?? "in-failed-runs",
      plan: (design) => {
        const { cohorts, problems } = plannedQuantity(design, options, {})
        const seeds = cohorts.length === 0 ? null : sharedSeeds(cohorts)
        return {
          problems,
          limits: ["It can be told only of cohorts in which some runs fail and others do not."],
          leastP: seeds === null ? null : leastPermutationP(seeds, cohorts.length === 1),
          power: null,
        }
      },
      judge: (evidence, level) => {
        const joined = join(failuresOf(evidence, {}), valuesOfQuantity(evidence, options), new Set())
        return typeof joined === "string"
          ? nothingFound(`${joined.replace("both", `${quantityText(options)} and an outcome`)}`)
          : judged(joined, quantityText(options), sign, level)
      },
      judgePaper: () => null,
    }
  },
})

const judged = (joined: Joined, what: string, sign: 1 | -1, level: number): Finding => {
  const mixed = joined.strata.filter(({ x }) => new Set(x).size > 1)
  const sample = {
    seeds: joined.seeds.length,
    notes: joinedNotes({ ...joined, strata: mixed }),
  }
  if (mixed.length === 0) {
    const all = joined.strata.flatMap(({ x }) => x)
    const found = all.every((failed) => failed === 1)
      ? "Every run of these failed."
      : all.every((failed) => failed === 0)
        ? "None of these runs failed."
        : "In each cohort all runs failed or none did."
    return nothingFound(`${found} There is nothing to compare.`, { ...sample, notes: [] })
  }
  const means = meansWithin(mixed)
  const count = (failed: 0 | 1) =>
    mixed.reduce((sum, { x }) => sum + x.filter((one) => one === failed).length, 0)
  const difference = differenceWithin(mixed)
  const byRanks = mixed.map(({ x, y }) => ({ x, y: ranks(y) }))
  const lean = differenceWithin(byRanks) * sign
  const n = joined.seeds.length
  const only = mixed.length === 1 ? mixed[0]!.x.filter((failed) => failed === 1).length : null
  return {
    ...nothingFound(""),
    ...sample,
    groups: [
      { name: "failed", text: `mean ${number(means.ones)}, ${plural(count(1), "run")}` },
      { name: "others", text: `mean ${number(means.others)}, ${plural(count(0), "run")}` },
    ],
    effect: { name: `difference of ${what} within cohorts`, value: difference, unit: "" },
    interval: differenceInterval(mixed, level),
    test: {
      name: "permutation test of ranks within cohorts",
      p: permutationP(byRanks),
      leastP: only === null ? null : 1 / combinations(n, only),
    },
    leans:
      lean === 0 || Math.sign(difference) * sign !== Math.sign(lean) ? null : lean > 0 ? "for" : "against",
    seedsNeeded: correlationSeeds(byRanks, level),
    missing: null,
  }
}

const combinations = (n: number, k: number): number => {
  let result = 1
  for (let i = 1; i <= k; i++) result = (result * (n - k + i)) / i
  return result
}
