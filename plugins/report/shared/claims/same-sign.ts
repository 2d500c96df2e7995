import { type } from "arktype"
import { component } from "../../../../core/api/component.ts"
import { type CrossedDifference, crossedDifference, crossedP } from "../statistics/crossed.ts"
import { type ClaimFunctions, type Finding, nothingFound } from "./claim.ts"
import { Comparison, comparedBy, comparisonProblems, whereOf } from "./comparison.ts"
import { crossedFinding, crossedName, oneSeed } from "./crossed-finding.ts"
import { labelsOfSide, nameOfSide, unknownNames } from "./evidence.ts"
import { type Paired, pair, planPair, sampleOf } from "./paired.ts"
import { comparedText, plannedQuantity, Quantity, valuesOfQuantity } from "./quantity.ts"
import { number } from "./words.ts"

/**
 * The difference of an observed number between two sides has the same sign at every value of a label, such as at every
 * task. The difference at each value is tested as in `observed`. If all lie on one side, the claim holds if each is
 * found by itself: the largest p decides (R. Berger, "Multiparameter hypothesis testing and acceptance sampling", 1982).
 * If they lie on both, it does not hold if one is found on either, by the least p of a side times the differences
 * there: the larger of the two decides.
 */
export const sameSign = component({
  role: "claim",
  name: "same-sign",
  module: import.meta.url,
  options: type({
    "...": Comparison,
    column: Quantity.get("column"),
    "by?": "string > 0",
    /** What sentences call it, in place of `column` and `where`. */
    "called?": "string > 0",
    /** The label: `task`. */
    across: "string > 0",
    "+": "reject",
  }),
  make: (options): ClaimFunctions => {
    const { arm, than, column, by, across } = options
    const quantity: Quantity = { column, where: whereOf(options), ...(by === undefined ? {} : { by }) }
    const { what, at } = comparedText(options, quantity.where)
    return {
      statement: `The difference of ${what} between ${nameOfSide(arm)} and ${nameOfSide(than)}${at} has the same sign at every ${across}.`,
      family: options.family ?? `same sign of ${column}`,
      compared: comparedBy(options, column),
      plan: (design) => {
        const planned = [arm, than].map((side) => plannedQuantity(design, quantity, labelsOfSide(side)))
        const { cohorts } = planned[0]!
        const values = new Set(cohorts.flatMap(({ labels }) => labels[across] ?? []))
        return {
          problems: [
            ...comparisonProblems(options),
            ...planned.flatMap(({ problems }) => problems),
            ...unknownNames("observations", design, {}, [across]),
          ],
          limits: [
            ...planPair(cohorts, arm, than, {}).limits,
            ...(values.size > 1 ? [] : [fewValues(across)]),
          ],
          leastP: null,
          power: null,
        }
      },
      judge: (evidence, level) => {
        const values = valuesOfQuantity(evidence, quantity)
        const found = [...new Set(values.flatMap(({ labels }) => labels[across] ?? []))].sort()
        if (found.length < 2) return nothingFound(fewValues(across))
        const differences: Difference[] = []
        for (const value of found) {
          const name = `${across}=${value}`
          const here = values.filter(({ labels }) => labels[across] === value)
          const paired = pair(here, arm, than, ` at ${name}`)
          if (typeof paired === "string") return nothingFound(paired)
          const crossed = crossedDifference(paired.arm.values, paired.than.values)
          if (crossed === null) return oneSeed(sampleOf(paired))
          differences.push({ name, paired, crossed, p: crossedP(crossed) })
        }
        return judged(differences, what, level)
      },
      judgePaper: () => null,
    }
  },
})

const fewValues = (across: string) => `There are fewer than two values of ${across} to compare.`

/** The difference at one value of the label. */
interface Difference {
  readonly name: string
  readonly paired: Paired
  readonly crossed: CrossedDifference
  readonly p: number
}

const judged = (all: readonly Difference[], what: string, level: number): Finding => {
  const above = all.filter(({ crossed }) => crossed.difference > 0)
  const below = all.filter(({ crossed }) => crossed.difference < 0)
  const same = above.length === all.length || below.length === all.length
  const opposed = above.length > 0 && below.length > 0
  // The difference on which the verdict hangs, and the p that counts: with one that is 0, none is found.
  const candidates = opposed
    ? [above, below].map((side) => {
        const best = side.reduce((least, other) => (other.p < least.p ? other : least))
        return { ...best, p: Math.min(1, side.length * best.p) }
      })
    : all
  const decisive = candidates.reduce((most, other) => (other.p > most.p ? other : most))
  const { interval, seedsNeeded } = crossedFinding(decisive.crossed, level, 1)
  const sample = sampleOf(decisive.paired)
  const checkpoints = sample.checkpoints.map(({ count }) => count)
  return {
    ...nothingFound(""),
    ...sample,
    groups: all.map(({ name, crossed, p }) => ({
      name,
      text: `difference ${number(crossed.difference)}, p = ${number(p)}`,
    })),
    effect: {
      name: `difference of ${what} at ${decisive.name}`,
      value: decisive.crossed.difference,
      unit: "",
    },
    interval,
    test: {
      name: `${opposed ? "the less certain of the best differences on both sides" : "the least certain of all differences"}, ${crossedName("paired t test", checkpoints)}`,
      p: decisive.p,
      leastP: null,
    },
    leans: same ? "for" : opposed ? "against" : null,
    seedsNeeded,
    missing: null,
  }
}
