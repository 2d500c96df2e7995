import { type } from "arktype"
import { component } from "../../../../core/api/component.ts"
import { plural } from "../../../../core/io/format.ts"
import { crossedDifference } from "../statistics/crossed.ts"
import { detectableDifference, SUFFICIENT_POWER } from "../statistics/power.ts"
import { type ClaimFunctions, type Finding, nothingFound } from "./claim.ts"
import { Comparison, comparedBy, comparisonProblems, whereOf } from "./comparison.ts"
import {
  crossedFinding,
  crossedName,
  meanOf,
  oneSeed,
  rankTest,
  reachNote,
  seedDifferences,
} from "./crossed-finding.ts"
import { labelsOfSide, nameOfSide } from "./evidence.ts"
import { type Paired, pair, planPair, sampleOf } from "./paired.ts"
import { comparedText, plannedQuantity, Quantity, valuesOfQuantity } from "./quantity.ts"
import { number } from "./words.ts"

/**
 * What a probe observed is higher, or lower, in the arm's runs: paired by seed and by every label and part that both
 * sides have, such as layers, with checkpoints random where a side has several. Layers are not random: the claim is
 * about their mean, and a seed is one observation of it.
 */
export const observed = component({
  role: "claim",
  name: "observed",
  module: import.meta.url,
  options: type({
    "...": Comparison,
    column: Quantity.get("column"),
    "by?": "string > 0",
    /** What sentences call it, in place of `column`, `by`, `sum` and `where`. */
    "called?": "string > 0",
    direction: "'higher' | 'lower'",
    /** The sum over the values of `by` instead of their mean. */
    sum: "boolean = false",
    /** The paper's means, or sums if `sum` is set. */
    "paper?": { "+": "reject", arm: "number", than: "number" },
    "+": "reject",
  }),
  make: (options): ClaimFunctions => {
    const { arm, than, column, by, direction, sum, paper } = options
    const quantity: Quantity = { column, where: whereOf(options), ...(by === undefined ? {} : { by }) }
    const sign = direction === "higher" ? 1 : -1
    const compared = comparedText(options, quantity.where)
    const { at } = compared
    const what = sum && options.called === undefined ? `sum of ${column} over ${by ?? "rows"}` : compared.what
    return {
      statement: `${nameOfSide(arm)} has a ${direction} ${what} than ${nameOfSide(than)}${at}.`,
      family: options.family ?? `${direction} ${column}`,
      compared: comparedBy(options, column),
      plan: (design, level) => {
        const planned = [arm, than].map((side) => plannedQuantity(design, quantity, labelsOfSide(side)))
        const { seeds, limits } = planPair(planned[0]!.cohorts, arm, than, {})
        return {
          problems: [...comparisonProblems(options), ...planned.flatMap(({ problems }) => problems)],
          limits: [
            ...limits,
            ...(paper === undefined || seeds < 2 ? [] : [detectableSentence(seeds, level)]),
            ...(seeds === 0 ? [] : reachNote(seeds, level)),
          ],
          leastP: null,
          power: null,
        }
      },
      judge: (evidence, level) => {
        const paired = pair(valuesOfQuantity(evidence, quantity), arm, than, at)
        return typeof paired === "string"
          ? nothingFound(`${paired.slice(0, -1)} for ${what}.`)
          : judged(paired, sum ? paired.parts : 1, what, sign, level)
      },
      judgePaper: () =>
        paper === undefined
          ? null
          : nothingFound("The paper prints no spread for this, so its difference cannot be tested.", {
              effect: { name: `difference of ${what}`, value: paper.arm - paper.than, unit: "" },
              groups: [
                { name: nameOfSide(arm), text: number(paper.arm) },
                { name: nameOfSide(than), text: number(paper.than) },
              ],
            }),
    }
  },
})

/** The paper prints no spread, so what a design can find is told in units of a spread that is not known yet. */
const detectableSentence = (seeds: number, level: number) =>
  `The paper prints no spread for this, so the power for its effect is not known: ${plural(seeds, "seed")} of one checkpoint a side find, with probability ${SUFFICIENT_POWER}, a difference of ${number(detectableDifference(seeds, 1 - level))} standard deviations of the seeds' differences.`

const judged = (paired: Paired, times: number, what: string, sign: 1 | -1, level: number): Finding => {
  const sample = sampleOf(paired)
  const scaled = (values: readonly (readonly number[])[]) =>
    values.map((row) => row.map((value) => times * value))
  const [first, second] = [scaled(paired.arm.values), scaled(paired.than.values)]
  const groups = [
    { name: paired.arm.name, text: number(meanOf(first)) },
    { name: paired.than.name, text: number(meanOf(second)) },
  ]
  const crossed = crossedDifference(first, second)
  if (crossed === null) return oneSeed({ ...sample, groups })
  const { p, ...found } = crossedFinding(crossed, level, sign)
  const checkpoints = sample.checkpoints.map(({ count }) => count)
  return {
    ...sample,
    ...found,
    groups,
    effect: { name: `difference of ${what}`, value: crossed.difference, unit: "" },
    test: { name: crossedName("paired t test", checkpoints), p, leastP: null },
    also: [
      rankTest(
        seedDifferences(paired),
        checkpoints.some((count) => count > 1),
      ),
    ],
    notes: [
      ...sample.notes,
      ...reachNote(paired.seeds.length, level),
      ...(paired.strata > 1
        ? [`Each seed is the mean over ${paired.strata} pairs that share their other labels and parts.`]
        : []),
    ],
  }
}
