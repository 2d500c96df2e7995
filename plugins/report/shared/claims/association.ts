import { type } from "arktype"
import { component } from "../../../../core/api/component.ts"
import type { Labels } from "../../../../core/api/plugin.ts"
import { plural } from "../../../../core/io/format.ts"
import {
  correlationInterval,
  correlationSeeds,
  correlationWithin,
  leastPermutationP,
  permutationP,
  ranked,
  type Stratum,
} from "../statistics/association.ts"
import { mean } from "../statistics/moments.ts"
import { type ClaimFunctions, type Evidence, type Finding, nothingFound } from "./claim.ts"
import { failuresOf } from "./fewer-failures.ts"
import { valuesOf } from "./higher-mean.ts"
import type { Value } from "./paired.ts"
import { plannedQuantity, Quantity, quantityText, runKey, valuesOfQuantity } from "./quantity.ts"
import { type Joined, join, joinedNotes, sharedSeeds } from "./strata.ts"
import { number } from "./words.ts"

const QuantityGiven = type({ "...": Quantity, "+": "reject" })
/** What a run ended with: its metric in hundredths, the baseline's if it diverged; or whether it failed. */
const Ended = type("'metric' | 'failed'")
const Variable = QuantityGiven.or(Ended)
type Variable = typeof Variable.infer

const names = { metric: "the metric", failed: "failure" }
const textOf = (variable: Variable): string =>
  typeof variable === "string" ? names[variable] : quantityText(variable)

const valuesOfVariable = (evidence: Evidence, variable: Variable): readonly Value[] =>
  variable === "metric"
    ? valuesOf(evidence, {}, true)
    : variable === "failed"
      ? failuresOf(evidence, {})
      : valuesOfQuantity(evidence, variable)

/**
 * Two numbers of a run go together: a permutation test of their correlation. By default within cohorts, over seeds: no
 * difference of arms or learning rates enters. With `units: "cohorts"` over cohorts, each the mean of its seeds and
 * checkpoints: then an arm is one observation, however many of them it has, since its checkpoints resemble one another.
 */
export const association = component({
  role: "claim",
  name: "association",
  module: import.meta.url,
  options: type({
    "+": "reject",
    x: QuantityGiven,
    y: Variable,
    direction: "'positive' | 'negative'",
    method: "'spearman' | 'pearson' = 'spearman'",
    units: "'runs' | 'cohorts' = 'runs'",
    /** Only runs of these arms; without it, of all. */
    "arms?": "string[]",
    "family?": "string > 0",
  }),
  make: ({ x, y, direction, method, units, arms, family }): ClaimFunctions => {
    const sign = direction === "positive" ? 1 : -1
    const over = units === "runs" ? "Over the runs of a cohort" : "Over cohorts"
    return {
      statement: `${over}, ${textOf(x)} and ${textOf(y)} have a ${direction} correlation.`,
      family: family ?? "association",
      plan: (design) => {
        const planned = [x, ...(typeof y === "string" ? [] : [y])].map((one) =>
          plannedQuantity(design, one, {}),
        )
        const cohorts = (typeof y === "string" ? design.runs : planned[1]!.cohorts).filter(isOf(arms))
        const distinct = new Set(cohorts.map(({ labels }) => runKey(withoutCheckpoint(labels), null)))
        const count = units === "cohorts" ? distinct.size : sharedSeeds(cohorts)
        return {
          problems: planned.flatMap(({ problems }) => problems),
          limits: ["A correlation does not tell what causes what."],
          leastP:
            count === 0
              ? null
              : leastPermutationP(count, alone(method, units === "cohorts" ? 1 : cohorts.length)),
          power: null,
        }
      },
      judge: (evidence, level) => {
        const dropped = new Set([
          ...Object.keys(x.where),
          ...(typeof y === "string" ? [] : Object.keys(y.where)),
        ])
        const [first, second] = [x, y].map((variable) => {
          const values = valuesOfVariable(evidence, variable).filter(isOf(arms))
          return units === "cohorts" ? overCheckpoints(values) : values
        })
        const joined = join(first!, second!, dropped)
        return typeof joined === "string"
          ? nothingFound(joined.replace("both", `both ${textOf(x)} and ${textOf(y)}`))
          : judged(joined, method, units, sign, level)
      },
      judgePaper: () => null,
    }
  },
})

const isOf =
  (arms: readonly string[] | undefined) =>
  ({ labels }: { readonly labels: Labels }): boolean =>
    arms === undefined || arms.includes(`${labels["arm"]}`)

const withoutCheckpoint = ({ checkpoint: _, ...labels }: Labels): Labels => labels

/** The means over checkpoints, of each seed and part. */
const overCheckpoints = (values: readonly Value[]): readonly Value[] =>
  [
    ...Map.groupBy(values, ({ labels, seed, part }) =>
      JSON.stringify([runKey(withoutCheckpoint(labels), seed), part]),
    ).values(),
  ].map((group) => ({
    ...group[0]!,
    labels: withoutCheckpoint(group[0]!.labels),
    value: mean(group.map(({ value }) => value).sort((a, b) => a - b)),
  }))

const alone = (method: "spearman" | "pearson", strata: number) => method === "spearman" && strata === 1

const judged = (
  joined: Joined,
  method: "spearman" | "pearson",
  units: "runs" | "cohorts",
  sign: 1 | -1,
  level: number,
): Finding => {
  const { seeds, incomplete } = joined
  const strata: readonly Stratum[] =
    units === "runs"
      ? joined.strata
      : [{ x: joined.strata.map(({ x }) => mean(x)), y: joined.strata.map(({ y }) => mean(y)) }]
  const of = (given: readonly Stratum[]) => correlationWithin(method === "spearman" ? ranked(given) : given)
  const count = strata[0]!.x.length
  const notes =
    units === "runs"
      ? joinedNotes(joined)
      : [
          `Over ${plural(count, "cohort")}, each the mean of ${plural(seeds.length, "seed")} and of its checkpoints.`,
          ...(incomplete === 0 ? [] : [`${plural(incomplete, "seed")} without all numbers left out.`]),
        ]
  const sample = { seeds: seeds.length, notes }
  const correlation = of(strata)
  if (Number.isNaN(correlation)) return nothingFound("One of the two does not vary.", sample)
  const tested = method === "spearman" ? ranked(strata) : strata
  return {
    ...nothingFound(""),
    ...sample,
    effect: {
      name: `${method === "spearman" ? "Spearman's" : "Pearson's"} correlation`,
      value: correlation,
      unit: "",
    },
    interval: correlationInterval(strata, of, level),
    test: {
      name: `permutation test of ${method === "spearman" ? "Spearman's" : "Pearson's"} correlation`,
      p: permutationP(tested),
      leastP: leastPermutationP(count, alone(method, strata.length)),
    },
    leans: correlation === 0 ? null : correlation * sign > 0 ? "for" : "against",
    // More seeds are not more cohorts.
    seedsNeeded: units === "runs" ? correlationSeeds(tested, level) : null,
    missing: null,
    groups: [{ name: "pairs", text: number(strata.length * count) }],
  }
}
