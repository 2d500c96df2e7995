import { type } from "arktype"
import { component } from "../../../../core/api/component.ts"
import { plural } from "../../../../core/io/format.ts"
import { crossedDifference } from "../statistics/crossed.ts"
import { mean } from "../statistics/moments.ts"
import { type ClaimFunctions, type Finding, nothingFound } from "./claim.ts"
import { crossedName, meanOf, oneSeed } from "./crossed-finding.ts"
import { alone, equivalence } from "./one-sample.ts"
import type { Paired, Value } from "./paired.ts"
import { plannedQuantity, Quantity, quantityText, runKey, valuesOfQuantity } from "./quantity.ts"
import { capitalised, number } from "./words.ts"

const QuantityGiven = type({ "...": Quantity, "+": "reject" })

/**
 * Two numbers of the same run agree on average: their mean difference is within a margin. An equivalence test over
 * seeds, with checkpoints random where there are several: that no difference is found is no agreement.
 */
export const agreement = component({
  role: "claim",
  name: "agreement",
  module: import.meta.url,
  options: type({
    "+": "reject",
    first: QuantityGiven,
    second: QuantityGiven,
    /** In the unit of the numbers. */
    margin: "number > 0",
    "family?": "string > 0",
  }),
  make: ({ first, second, margin, family }): ClaimFunctions => {
    const text = `${quantityText(first)} and ${quantityText(second)}`
    return {
      statement: `${capitalised(text)} agree on average within ${number(margin)}.`,
      family: family ?? "agreement",
      plan: (design) => ({
        problems: [first, second].flatMap((one) => plannedQuantity(design, one, {}).problems),
        limits: [],
        leastP: null,
        power: null,
      }),
      judge: (evidence, level) => {
        const dropped = new Set([...Object.keys(first.where), ...Object.keys(second.where)])
        const differences = differencesOf(
          valuesOfQuantity(evidence, first),
          valuesOfQuantity(evidence, second),
          dropped,
        )
        const paired = differences.length === 0 ? `No run has both ${text}.` : alone(differences)
        return typeof paired === "string" ? nothingFound(paired) : judged(paired, text, margin, level)
      },
      judgePaper: () => null,
    }
  },
})

/**
 * first − second of each run and part, each the mean where several rows are of one. Labels by which one of the two was
 * selected are left out.
 */
const differencesOf = (
  first: readonly Value[],
  second: readonly Value[],
  dropped: ReadonlySet<string>,
): readonly Value[] => {
  const means = (values: readonly Value[]) => {
    const groups = Map.groupBy(
      values.map((value) => ({
        ...value,
        labels: Object.fromEntries(Object.entries(value.labels).filter(([name]) => !dropped.has(name))),
      })),
      ({ labels, seed, part }) => JSON.stringify([runKey(labels, seed), part]),
    )
    // Sorted, so that sums do not depend on the order of the evidence.
    const meanOfGroup = (group: readonly Value[]) =>
      mean(group.map(({ value }) => value).sort((a, b) => a - b))
    return [...groups].map(([key, group]) => ({ key, value: { ...group[0]!, value: meanOfGroup(group) } }))
  }
  const others = new Map(means(second).map(({ key, value }) => [key, value.value]))
  return means(first).flatMap(({ key, value }) => {
    const other = others.get(key)
    return other === undefined ? [] : [{ ...value, value: value.value - other }]
  })
}

const judged = (paired: Paired, text: string, margin: number, level: number): Finding => {
  const checkpoints = paired.arm.checkpoints.length
  const sample = {
    seeds: paired.seeds.length,
    checkpoints: [{ arm: "models", count: checkpoints }],
    notes:
      paired.incomplete === 0 ? [] : [`${plural(paired.incomplete, "seed")} without all values left out.`],
  }
  const crossed = crossedDifference(paired.arm.values, paired.than.values)
  if (crossed === null) return oneSeed(sample)
  const { p, ...found } = equivalence(crossed, 0, margin, level)
  return {
    ...nothingFound(""),
    ...sample,
    ...found,
    effect: { name: `mean difference of ${text}`, value: meanOf(paired.arm.values), unit: "" },
    test: {
      name: `equivalence within ${number(margin)} by ${crossedName("t tests", [checkpoints])}`,
      p,
      leastP: null,
    },
    missing: null,
  }
}
