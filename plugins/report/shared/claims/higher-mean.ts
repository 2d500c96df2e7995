import { type } from "arktype"
import { component } from "../../../../core/api/component.ts"
import { plural } from "../../../../core/io/format.ts"
import { crossedDifference, leastEnough } from "../statistics/crossed.ts"
import { SUFFICIENT_POWER, type Summary, studentPower, welch } from "../statistics/power.ts"
import { type ClaimFunctions, type Evidence, type Finding, nothingFound } from "./claim.ts"
import { Comparison, comparedBy, problemsOfRuns, whereOf } from "./comparison.ts"
import {
  crossedFinding,
  crossedName,
  meanOf,
  oneSeed,
  rankTest,
  reachNote,
  seedDifferences,
} from "./crossed-finding.ts"
import { matches, nameOfSide, type Where } from "./evidence.ts"
import { type Paired, pair, planPair, sampleOf, unknownPower, type Value, whereText } from "./paired.ts"
import { number } from "./words.ts"

const SummaryGiven = type({
  "+": "reject",
  mean: "number",
  deviation: "number >= 0",
  of: "number.integer >= 2",
})

const effectName = "difference of the means"
const effectUnit = "points"

/**
 * The arm's mean of the task's metric, in hundredths, is higher. Runs are paired by seed, checkpoints are random where
 * a side has several: the t test of crossed random effects decides, which with one checkpoint a side is the paired t
 * test. A run that diverged counts as the baseline, so that what diverges cannot raise a mean.
 */
export const higherMean = component({
  role: "claim",
  name: "higher-mean",
  module: import.meta.url,
  options: type({
    "...": Comparison,
    "+": "reject",
    /** The paper's mean and S (ddof 0), in hundredths, of how many runs. */
    "paper?": { "+": "reject", arm: SummaryGiven, than: SummaryGiven },
  }),
  make: (options): ClaimFunctions => {
    const { arm, than, paper } = options
    const where = whereOf(options)
    return {
      statement: `${nameOfSide(arm)} has a higher mean than ${nameOfSide(than)}${whereText(where)}.`,
      family: options.family ?? "higher-mean",
      compared: comparedBy(options),
      plan: (design, level) => {
        const planned = planPair(design.runs, arm, than, where)
        const { seeds, limits } = planned
        const unknown = paper === undefined ? [] : unknownPower(planned)
        return {
          problems: problemsOfRuns(options, design),
          limits: [...limits, ...unknown, ...(seeds === 0 ? [] : reachNote(seeds, level))],
          leastP: null,
          power:
            paper === undefined || unknown.length > 0 || seeds < 2
              ? null
              : studentPower(
                  Math.abs(paper.arm.mean - paper.than.mean) / pairedError(paper, seeds),
                  seeds - 1,
                  1 - level,
                ),
        }
      },
      judge: (evidence, level) => {
        const worst = pair(valuesOf(evidence, where, true), arm, than, whereText(where))
        return typeof worst === "string"
          ? nothingFound(worst)
          : judged(worst, pair(valuesOf(evidence, where, false), arm, than, whereText(where)), level)
      },
      judgePaper: (level) =>
        paper === undefined
          ? null
          : unpaired(nameOfSide(arm), paper.arm, nameOfSide(than), paper.than, level),
    }
  },
})

/** The standard error of the mean difference of pairs that the paper does not give: as if they were independent. */
const pairedError = (paper: { readonly arm: Summary; readonly than: Summary }, seeds: number) =>
  Math.sqrt(
    [paper.arm, paper.than].reduce((sum, { deviation, of }) => sum + (deviation ** 2 * of) / (of - 1), 0) /
      seeds,
  )

/** The metric of every run; one that diverged counts as the baseline, or is left out. */
export const valuesOf = ({ runs }: Evidence, where: Where, worstCase: boolean): readonly Value[] => {
  const baselines = new Map(
    runs.flatMap(({ labels, baseline }) => (baseline === null ? [] : [[taskOf(labels), baseline] as const])),
  )
  return runs.flatMap(({ labels, seed, status, value }): readonly Value[] => {
    if (!matches(where, labels)) return []
    if (value !== null) return [{ labels, seed, part: "", value }]
    const baseline = baselines.get(taskOf(labels))
    return worstCase && status === "diverged" && baseline !== undefined
      ? [{ labels, seed, part: "", value: baseline }]
      : []
  })
}

/** Runs of one task have one baseline. */
const taskOf = (labels: Evidence["runs"][number]["labels"]) => labels["task"] ?? null

const judged = (paired: Paired, without: Paired | string, level: number): Finding => {
  const sample = sampleOf(paired)
  const groups = [paired.arm, paired.than].map(({ name, values }) => ({
    name,
    text: `mean ${number(meanOf(values))}`,
  }))
  const crossed = crossedDifference(paired.arm.values, paired.than.values)
  if (crossed === null) return oneSeed({ ...sample, groups })
  const { p, ...found } = crossedFinding(crossed, level, 1)
  const checkpoints = sample.checkpoints.map(({ count }) => count)
  const several = checkpoints.some((count) => count > 1)
  return {
    ...sample,
    ...found,
    groups,
    effect: { name: effectName, value: crossed.difference, unit: effectUnit },
    test: { name: crossedName("paired t test", checkpoints), p, leastP: null },
    also: [rankTest(seedDifferences(paired), several)],
    notes: [...sample.notes, ...reachNote(paired.seeds.length, level), ...divergedNote(paired, without)],
  }
}

const divergedNote = (paired: Paired, without: Paired | string): readonly string[] => {
  if (typeof without === "string") return ["Every pair has a diverged run, which counts as the baseline."]
  const fewer = paired.seeds.length - without.seeds.length
  return fewer === 0
    ? []
    : [
        `${plural(fewer, "seed")} with a diverged run, which counts as the baseline; without them the difference is ${number(meanOf(without.arm.values) - meanOf(without.than.values))}.`,
      ]
}

/** The paper gives means and S without the runs, so nothing is paired. */
const unpaired = (armName: string, arm: Summary, thanName: string, than: Summary, level: number): Finding => {
  const { difference, p, interval } = welch(arm, than, level)
  const text = ({ mean, deviation, of }: Summary) =>
    `mean ${number(mean)}, S ${number(deviation)}, ${of} runs`
  const error = pairedError({ arm, than }, 1)
  return {
    ...nothingFound(""),
    groups: [
      { name: armName, text: text(arm) },
      { name: thanName, text: text(than) },
    ],
    effect: { name: effectName, value: difference, unit: effectUnit },
    interval,
    test: { name: "Welch's t test", p, leastP: null },
    leans: difference === 0 ? null : difference > 0 ? "for" : "against",
    seeds: Math.min(arm.of, than.of),
    seedsNeeded:
      difference === 0
        ? null
        : leastEnough(
            (n) =>
              studentPower((Math.abs(difference) * Math.sqrt(n)) / error, n - 1, 1 - level) >=
              SUFFICIENT_POWER,
          ),
    missing: null,
    notes: ["Means and S without the runs: they are taken as unpaired. One checkpoint a model."],
  }
}
