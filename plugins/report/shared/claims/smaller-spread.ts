import { type } from "arktype"
import { component } from "../../../../core/api/component.ts"
import { exp, log } from "../../../../core/tensor/elementary.ts"
import { normal, stream, uniform } from "../../../../core/tensor/stream.ts"
import { crossedDifference, crossedP } from "../statistics/crossed.ts"
import type { Ends } from "../statistics/interval.ts"
import { mean, standardDeviation } from "../statistics/moments.ts"
import { signFlip } from "../statistics/sign-flip.ts"
import {
  type Elsewhere,
  fromMedian,
  pairedBootstrap,
  ratioInterval,
  type Split,
  spreadInterval,
} from "../statistics/spread.ts"
import { type ClaimFunctions, type Finding, nothingFound, type RunEvidence } from "./claim.ts"
import { Comparison, comparedBy, problemsOfRuns, whereOf } from "./comparison.ts"
import { crossedFinding, crossedName, oneSeed } from "./crossed-finding.ts"
import { nameOfSide } from "./evidence.ts"
import { failuresOf } from "./fewer-failures.ts"
import { valuesOf } from "./higher-mean.ts"
import { type Paired, pair, planPair, sampleOf, unknownPower, whereText } from "./paired.ts"
import { number } from "./words.ts"

const CellGiven = type({
  "+": "reject",
  mean: "number",
  deviation: "number > 0",
  failures: "number.integer >= 0",
  of: "number.integer >= 2",
})
type Cell = typeof CellGiven.infer

const effectOf = (ratio: number) => ({ name: "ratio of the spreads S", value: ratio, unit: "", neutral: 1 })

/**
 * S, the standard deviation of the arm's metric over seeds, is smaller. The Brown–Forsythe test on pairs decides: of
 * the distances from the median of one's own side, compared seed by seed as means are, with checkpoints random where a
 * side has several: then a sign-flip test of these checkpoints must find it too, since distances are skewed. A claim is
 * decided only if the ratio of S lies on the same side. A run that diverged counts as the baseline.
 */
export const smallerSpread = component({
  role: "claim",
  name: "smaller-spread",
  module: import.meta.url,
  options: type({
    "...": Comparison,
    "+": "reject",
    /** The paper's mean, S (ddof 0) and failures, in hundredths, of how many runs, and the baseline. */
    "paper?": { "+": "reject", baseline: "number", arm: CellGiven, than: CellGiven },
  }),
  make: (options): ClaimFunctions => {
    const { arm, than, paper } = options
    const where = whereOf(options)
    return {
      statement: `S is smaller for ${nameOfSide(arm)} than for ${nameOfSide(than)}${whereText(where)}.`,
      family: options.family ?? "smaller-spread",
      compared: comparedBy(options),
      plan: (design, level) => {
        const planned = planPair(design.runs, arm, than, where)
        const { seeds, limits } = planned
        const unknown = paper === undefined ? [] : unknownPower(planned)
        return {
          problems: problemsOfRuns(options, design),
          limits: [
            ...limits,
            ...unknown,
            ...(seeds === 0
              ? []
              : [
                  `Of ${seeds} runs without a failure, up to ${percentUnseen(seeds, level)} % could still fail.`,
                ]),
          ],
          leastP: null,
          power:
            paper === undefined || unknown.length > 0 || seeds < 2
              ? null
              : simulatedPower(paper.baseline, paper.arm, paper.than, seeds, 1 - level),
        }
      },
      judge: (evidence, level) => {
        const values = pair(valuesOf(evidence, where, true), arm, than, whereText(where))
        const failures = pair(failuresOf(evidence, where), arm, than, whereText(where))
        if (typeof values === "string") return nothingFound(values)
        if (typeof failures === "string") return nothingFound(failures)
        return values.strata > 1
          ? nothingFound(`S is of one cohort, and there are ${values.strata}${whereText(where)}: name one.`)
          : judged(values, failures, elsewhereOf(evidence.runs), level)
      },
      judgePaper: () =>
        paper === undefined
          ? null
          : nothingFound(
              "The paper prints S without the runs. A test of two numbers S supposes normal values, and runs that fail are not.",
              {
                effect: effectOf(paper.arm.deviation / paper.than.deviation),
                groups: [
                  { name: nameOfSide(arm), text: cellText(paper.arm) },
                  { name: nameOfSide(than), text: cellText(paper.than) },
                ],
                seeds: Math.min(paper.arm.of, paper.than.of),
              },
            ),
    }
  },
})

const cellText = ({ deviation, failures, of }: Cell) => `S ${number(deviation)}, ${failures} of ${of} failed`

/** The exact upper limit of the share of failures where none of n runs failed. */
const percentUnseen = (n: number, level: number) => number(100 * (1 - exp(log((1 - level) / 2) / n)))

/** Where failed runs and the others lie in all the evidence. */
export const elsewhereOf = (
  runs: readonly Pick<RunEvidence, "value" | "baseline" | "failed">[],
): Elsewhere => {
  const of = (failed: boolean) =>
    runs
      .flatMap((run) => (run.failed === failed && run.value !== null ? [run.value] : []))
      .sort((a, b) => a - b)
  const [failed, others] = [of(true), of(false)]
  const baselines = runs.flatMap(({ baseline }) => baseline ?? [])
  return {
    failed: failed.length > 0 ? mean(failed) : (baselines[0] ?? Number.NaN),
    others: others.length === 0 ? null : { mean: mean(others), deviation: standardDeviation(others, 0) },
  }
}

/**
 * Of one side: S over seeds, the root of the mean of its checkpoints' squares, with an interval as wide, on the scale of
 * logarithms, as that of one checkpoint is on average.
 */
const spreadsOf = (
  values: readonly (readonly number[])[],
  failures: readonly (readonly number[])[],
  elsewhere: Elsewhere,
  level: number,
): ({ readonly value: number } & Ends) | null => {
  const each = values[0]!.map((_, c) => {
    const column = values.map((row) => row[c]!)
    const split: Split = {
      failed: column.filter((_, s) => failures[s]![c] === 1),
      others: column.filter((_, s) => failures[s]![c] !== 1),
    }
    const ends = spreadInterval(split, elsewhere, level)
    return ends === null ? null : { value: standardDeviation(column, 0), ...ends }
  })
  const known = each.flatMap((one) => (one === null ? [] : [one]))
  if (known.length < each.length || known.some(({ value }) => value === 0)) return null
  const value = Math.sqrt(mean(known.map((one) => one.value ** 2)))
  return {
    value,
    low: value * exp(mean(known.map((one) => log(one.low / one.value)))),
    high: value * exp(mean(known.map((one) => log(one.high / one.value)))),
  }
}

const judged = (values: Paired, failures: Paired, elsewhere: Elsewhere, level: number): Finding => {
  const sample = sampleOf(values)
  const [first, second] = [values.arm, values.than].map((side) => distancesOf(side.values)) as [
    number[][],
    number[][],
  ]
  const crossed = crossedDifference(first, second)
  if (crossed === null) return oneSeed(sample)
  const [arm, than] = [
    spreadsOf(values.arm.values, failures.arm.values, elsewhere, level),
    spreadsOf(values.than.values, failures.than.values, elsewhere, level),
  ]
  const spread = ({ values: of }: { readonly values: readonly (readonly number[])[] }) =>
    Math.sqrt(
      mean(
        of[0]!.map(
          (_, c) =>
            standardDeviation(
              of.map((row) => row[c]!),
              0,
            ) ** 2,
        ),
      ),
    )
  const [s1, s2] = [spread(values.arm), spread(values.than)]
  const groups = [
    { name: values.arm.name, text: textOf(s1, arm) },
    { name: values.than.name, text: textOf(s2, than) },
  ]
  if (s1 === 0 && s2 === 0)
    return nothingFound("No run differs from another of its side.", { ...sample, groups })
  const known = arm !== null && than !== null
  const ratio = known ? arm.value / than.value : s1 / s2
  const { leans, seedsNeeded, p } = crossedFinding(crossed, level, -1)
  const checkpoints = sample.checkpoints.map(({ count }) => count)
  const single = checkpoints.every((count) => count === 1)
  const flipped = {
    name: `sign-flip test of the distances from the median${single ? "" : ", for these checkpoints alone"}`,
    p: signFlip(first.map((row, s) => mean(row) - mean(second[s]!))),
    leastP: 2 ** (1 - values.seeds.length),
  }
  const random = { name: crossedName("Brown–Forsythe test on pairs", checkpoints), p, leastP: null }
  const agrees = leans === (ratio < 1 ? "for" : ratio > 1 ? "against" : null)
  const interval = known ? ratioInterval(arm, than) : null
  return {
    ...sample,
    groups,
    effect: Number.isFinite(ratio) ? effectOf(ratio) : null,
    interval,
    test: single
      ? random
      : {
          name: "the larger p of crossed random effects (seeds × checkpoints) and a sign-flip test by seeds",
          p: Math.max(random.p, flipped.p),
          leastP: flipped.leastP,
        },
    also: single
      ? [
          flipped,
          {
            name: "paired bootstrap of the ratio",
            p: pairedBootstrap(
              values.arm.values.map((row) => row[0]!),
              values.than.values.map((row) => row[0]!),
            ),
            leastP: null,
          },
        ]
      : [random, flipped],
    leans: agrees ? leans : null,
    seedsNeeded,
    missing: null,
    notes: [
      ...sample.notes,
      ...(single || interval === null ? [] : ["The interval of the ratio is about these checkpoints."]),
      ...(Number.isFinite(ratio) ? [] : [`S of ${values.than.name} is 0, so the ratio has no number.`]),
      ...(agrees ? [] : ["The distances from the median point the other way than S does."]),
      ...(interval !== null && interval.low < 1 && interval.high > 1
        ? [
            "The interval of the ratio allows for failures that so few runs need not show; it includes equal spreads.",
          ]
        : []),
    ],
  }
}

const textOf = (spread: number, interval: Ends | null) =>
  interval === null
    ? `S ${number(spread)}`
    : `S ${number(spread)} (${number(interval.low)} to ${number(interval.high)})`

const distancesOf = (values: readonly (readonly number[])[]): number[][] => {
  const columns = values[0]!.map((_, c) => fromMedian(values.map((row) => row[c]!)))
  return values.map((_, s) => columns.map((column) => column[s]!))
}

// --- power -------------------------------------------------------------------------------------------------

const draws = stream(20250310, "power")
const SIMULATED = 400

/**
 * Runs like the paper's: the share that failed at the baseline, the others around a mean of their own with the
 * deviation that is left, so that mean and S are the paper's; no correlation of pairs.
 */
const simulatedPower = (baseline: number, arm: Cell, than: Cell, seeds: number, alpha: number): number => {
  let found = 0
  const sides = [arm, than].map((cell) => mixtureOf(cell, baseline))
  for (let i = 0; i < SIMULATED; i++) {
    const [first, second] = sides.map(({ share, failed, others, deviation }, side) => {
      const draw = { stream: draws, site: side, iteration: i }
      const noise = normal(draw, seeds)
      const chance = uniform({ ...draw, site: side + 2 }, seeds)
      const values = [...noise].map((z, s) => (chance[s]! < share ? failed : others) + deviation * z)
      return fromMedian(values).map((distance) => [distance])
    }) as [number[][], number[][]]
    const crossed = crossedDifference(first, second)!
    if (crossed.difference < 0 && crossedP(crossed) <= alpha) found++
  }
  return found / SIMULATED
}

const mixtureOf = ({ mean: centre, deviation, failures, of }: Cell, baseline: number) => {
  const share = failures / of
  const between = share * (1 - share)
  // The gap between the two parts may not take more than nine tenths of the variance.
  const most = between === 0 ? 0 : Math.sqrt((0.9 * deviation ** 2) / between)
  const wanted = share === 1 ? 0 : (centre - baseline) / (1 - share)
  const gap = between === 0 ? 0 : wanted > 0 ? Math.min(most, wanted) : most
  const others = centre + share * gap
  return { share, failed: others - gap, others, deviation: Math.sqrt(deviation ** 2 - between * gap ** 2) }
}
