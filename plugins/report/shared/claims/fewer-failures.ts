import { type } from "arktype"
import { component } from "../../../../core/api/component.ts"
import { crossedDifference, crossedInterval, crossedP, crossedSeedsNeeded } from "../statistics/crossed.ts"
import {
  mcNemarPower,
  mcNemarSeeds,
  newcombePaired,
  type PairedCounts,
  wilson,
} from "../statistics/proportion.ts"
import { signFlip } from "../statistics/sign-flip.ts"
import { type Count, fisherExact, newcombeUnpaired } from "../statistics/two-by-two.ts"
import { type ClaimFunctions, type Evidence, type Finding, type Group, nothingFound } from "./claim.ts"
import { Comparison, comparedBy, problemsOfRuns, whereOf } from "./comparison.ts"
import { matches, nameOfSide, type Where } from "./evidence.ts"
import {
  type Paired,
  pair,
  planPair,
  type SideValues,
  sampleOf,
  unknownPower,
  type Value,
  whereText,
} from "./paired.ts"
import { percent } from "./words.ts"

const CountGiven = type({ "+": "reject", count: "number.integer >= 0", of: "number.integer >= 1" })

const exactName = "exact McNemar test"
const effectOf = (difference: number) => ({
  name: "difference of the failure rates",
  value: 100 * difference,
  unit: "percentage points",
})
/** Rates cannot differ by more than 1, whatever a t interval of few checkpoints says. */
const inPoints = ({ low, high }: { readonly low: number; readonly high: number }) => ({
  low: 100 * Math.max(-1, low),
  high: 100 * Math.min(1, high),
})
const leaning = (difference: number) => (difference < 0 ? "for" : difference > 0 ? "against" : null)

/**
 * Of the arm's runs, fewer fail: are no better than the baseline, or diverge. Runs are paired by seed. With one
 * checkpoint a side, McNemar's exact test decides. With several, checkpoints are random as seeds are, and two tests
 * must both find it: that of the crossed random effects, and the one of these checkpoints alone in which a seed's
 * difference is as likely to have the other sign (with one checkpoint a side that is McNemar's).
 */
export const fewerFailures = component({
  role: "claim",
  name: "fewer-failures",
  module: import.meta.url,
  options: type({
    "...": Comparison,
    "+": "reject",
    /** How many of how many runs failed in the paper. */
    "paper?": { "+": "reject", arm: CountGiven, than: CountGiven },
  }),
  make: (options): ClaimFunctions => {
    const { arm, than, paper } = options
    const where = whereOf(options)
    return {
      statement: `${nameOfSide(arm)} fails in fewer runs than ${nameOfSide(than)}${whereText(where)}.`,
      family: options.family ?? "fewer-failures",
      compared: comparedBy(options),
      plan: (design, level) => {
        const planned = planPair(design.runs, arm, than, where)
        const { seeds, limits } = planned
        const unknown = paper === undefined ? [] : unknownPower(planned)
        return {
          problems: problemsOfRuns(options, design),
          limits: [...limits, ...unknown],
          leastP: seeds === 0 ? null : 2 ** (1 - seeds),
          power:
            paper === undefined || unknown.length > 0 || seeds === 0
              ? null
              : mcNemarPower(
                  seeds,
                  rate(paper.arm) * (1 - rate(paper.than)),
                  rate(paper.than) * (1 - rate(paper.arm)),
                  1 - level,
                ),
        }
      },
      judge: (evidence, level) => {
        const paired = pair(failuresOf(evidence, where), arm, than, whereText(where))
        return typeof paired === "string" ? nothingFound(paired) : judged(paired, level)
      },
      judgePaper: (level) =>
        paper === undefined
          ? null
          : unpaired(nameOfSide(arm), paper.arm, nameOfSide(than), paper.than, level),
    }
  },
})

const rate = ({ count, of }: Count) => count / of

/** 1 for each run that failed, 0 for the others; units that gave no run are left out. */
export const failuresOf = ({ runs }: Evidence, where: Where): readonly Value[] =>
  runs.flatMap(({ labels, seed, failed }) =>
    failed === null || !matches(where, labels) ? [] : [{ labels, seed, part: "", value: failed ? 1 : 0 }],
  )

const judged = (paired: Paired, level: number): Finding => {
  const { seeds, arm, than, strata } = paired
  const checkpoints = [arm, than].map((side) => side.checkpoints.length) as [number, number]
  const sample = {
    ...sampleOf(paired),
    groups: [arm, than].map((side) => groupOf(side, seeds.length, strata, level)),
  }
  // Whole failures: the means times the number of runs that they are of.
  const whole = strata * checkpoints[0] * checkpoints[1]
  const differences = arm.values.map((row, s) =>
    Math.round(whole * (average(row) - average(than.values[s]!))),
  )
  const exact = signFlip(differences)
  const leastP = 2 ** (1 - seeds.length)
  const difference = average(differences) / whole
  if (whole === 1) {
    const counts = countsOf(arm, than)
    return {
      ...nothingFound(""),
      ...sample,
      effect: effectOf(difference),
      interval: inPoints(newcombePaired(counts, level)),
      test: { name: exactName, p: exact, leastP },
      leans: leaning(difference),
      seedsNeeded: mcNemarSeeds(counts.first / seeds.length, counts.second / seeds.length, 1 - level),
      missing: null,
    }
  }
  const crossed = crossedDifference(arm.values, than.values)
  if (crossed === null) return nothingFound("One seed has no variance.", sample)
  const random = crossedP(crossed)
  const conditional = {
    name: "sign-flip test by seeds, for these checkpoints alone",
    p: exact,
    leastP,
  }
  return {
    ...nothingFound(""),
    ...sample,
    effect: effectOf(difference),
    interval: inPoints(crossedInterval(crossed, level)),
    test: {
      name: "the larger p of crossed random effects (seeds × checkpoints) and a sign-flip test by seeds",
      p: Math.max(random, exact),
      leastP,
    },
    also: [{ name: "crossed random effects, seeds × checkpoints", p: random, leastP: null }, conditional],
    leans: leaning(difference),
    seedsNeeded: crossedSeedsNeeded(crossed, level),
    missing: null,
  }
}

const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

const countsOf = (arm: SideValues, than: SideValues): PairedCounts => {
  const count = (first: number, second: number) =>
    arm.values.filter((row, s) => row[0] === first && than.values[s]![0] === second).length
  return { both: count(1, 1), first: count(1, 0), second: count(0, 1), neither: count(0, 0) }
}

const groupOf = (
  { name, values, checkpoints }: SideValues,
  seeds: number,
  strata: number,
  level: number,
): Group => {
  const of = seeds * strata * checkpoints.length
  const count = Math.round(average(values.map(average)) * of)
  return { name, text: textOf({ count, of }, level) }
}

const textOf = (counted: Count, level: number): string => {
  const { low, high } = wilson(counted.count, counted.of, level)
  return `${counted.count} of ${counted.of} failed (${percent(rate(counted))}, ${percent(low)} to ${percent(high)})`
}

/** The paper gives counts without seeds, so nothing is paired. */
const unpaired = (armName: string, arm: Count, thanName: string, than: Count, level: number): Finding => {
  const difference = rate(arm) - rate(than)
  return {
    ...nothingFound(""),
    groups: [
      { name: armName, text: textOf(arm, level) },
      { name: thanName, text: textOf(than, level) },
    ],
    effect: effectOf(difference),
    interval: inPoints(newcombeUnpaired(arm, than, level)),
    test: { name: "Fisher's exact test", p: fisherExact(arm, than), leastP: null },
    leans: leaning(difference),
    seeds: Math.min(arm.of, than.of),
    seedsNeeded: mcNemarSeeds(rate(arm) * (1 - rate(than)), rate(than) * (1 - rate(arm)), 1 - level),
    missing: null,
    notes: ["Counts without seeds: the runs are taken as unpaired. One checkpoint a model."],
  }
}
