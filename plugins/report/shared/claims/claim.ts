/**
 * Claims as data. A pipeline file lists what its study claims, `claims: [fewerFailures({ arm, than, lr })]`; before
 * anything runs, each says what the design can show of it; afterwards each is tested and gets a verdict.
 */
import { type Component, componentOf } from "../../../../core/api/component.ts"
import type { Labels } from "../../../../core/api/plugin.ts"
import type { Row } from "../../../../core/artifacts/observations.ts"
import { plural } from "../../../../core/io/format.ts"
import { holm } from "../statistics/holm.ts"
import { COVERAGE } from "../statistics/interval.ts"
import { capitalised, number, pText } from "./words.ts"

// --- what claims are judged by -----------------------------------------------------------------------------

/** What will be there: the cohorts of runs and observations, before anything runs. */
export interface Design {
  readonly runs: readonly { readonly labels: Labels; readonly seeds: readonly number[] }[]
  readonly observations: readonly {
    readonly labels: Labels
    readonly seeds: readonly number[]
    /** Of its rows; empty if their type does not name them. */
    readonly columns: readonly string[]
    /** At which they are observed; left out if that is not known. */
    readonly steps?: readonly number[]
  }[]
}

/** One run: its labels (`arm`, `lr`, `checkpoint` where the arm has several, others), and how it ended. */
export interface RunEvidence {
  readonly labels: Labels
  readonly seed: number
  /** `diverged`: the loss, the gradients or the logits were not finite. `failed`: the unit gave no run at all. */
  readonly status: "done" | "diverged" | "failed"
  /** The task's first metric, in hundredths; null unless done. */
  readonly value: number | null
  /** The baseline's, in hundredths; null unless done. */
  readonly baseline: number | null
  /** Whether it is no better than the baseline, or diverged; null if the unit gave no run. */
  readonly failed: boolean | null
  /** Updates, and those of the warm-up; null unless done. */
  readonly steps: number | null
  readonly warmupSteps: number | null
}

/** One row that a probe observed, with the labels and the seed of its run. */
export interface ObservationEvidence {
  readonly labels: Labels
  readonly seed: number
  readonly row: Row
}

export interface Evidence {
  readonly runs: readonly RunEvidence[]
  readonly observations: readonly ObservationEvidence[]
}

// --- what claims say ---------------------------------------------------------------------------------------

/** What a design can show of a claim. */
export interface ClaimPlan {
  /** Names of arms, labels or columns that the design does not have at all: a slip in the claim. */
  readonly problems: readonly string[]
  /** What it cannot show, and what its findings will speak of; whole sentences. */
  readonly limits: readonly string[]
  /** The least p value that the deciding test can give; null if it has no such bound. */
  readonly leastP: number | null
  /** The probability of the verdict "holds", by this design, if the effect is the paper's; null without one. */
  readonly power: number | null
}

/** The two ends of an interval. */
export interface Ends {
  readonly low: number
  readonly high: number
}

/** A number with its unit, such as a difference of means. */
export interface EffectSize {
  /** What it is: `difference of the failure rates`. */
  readonly name: string
  readonly value: number
  /** `percentage points`; empty if it has none. */
  readonly unit: string
  /** What it is where the sides do not differ: 1 of a ratio; 0 by default. */
  readonly neutral?: number
}

/** What one side of a comparison looks like by itself. */
export interface Group {
  readonly name: string
  /** In a few words: `7 of 30 failed (23.3 %, 11.8 to 40.9)`. */
  readonly text: string
}

export interface TestResult {
  /** `exact McNemar test`. */
  readonly name: string
  /** Two-sided. */
  readonly p: number
  /** The least p that it can give with so many seeds, whatever the data; null if there is no such bound. */
  readonly leastP: number | null
}

/** What the evidence says about a claim by itself, not yet adjusted for the others of its family. */
export interface Finding {
  readonly groups: readonly Group[]
  /** Null if there is nothing to compare, and `missing` says why, or if it has no number, and a note says why. */
  readonly effect: EffectSize | null
  /** Of the effect, at the level asked for; null if none can be given. */
  readonly interval: Ends | null
  /** The test that decides; null exactly if `missing` is not. */
  readonly test: TestResult | null
  /** Tests of the same by other means. They do not decide. */
  readonly also: readonly TestResult[]
  /** Which side of the claim the effect is on; null if on neither. */
  readonly leans: "for" | "against" | null
  /** Seeds of which all values were there. */
  readonly seeds: number
  /** How many checkpoints each side had. */
  readonly checkpoints: readonly { readonly arm: string; readonly count: number }[]
  /** Seeds with which an effect of this size would be found with probability .8; null if more seeds alone would not do. */
  readonly seedsNeeded: number | null
  /** Why there is no test; null if there is one. */
  readonly missing: string | null
  /** Assumptions, what was left out, of what the finding speaks; whole sentences. */
  readonly notes: readonly string[]
}

/** A finding of nothing, and why. */
export const nothingFound = (missing: string, parts: Partial<Finding> = {}): Finding => ({
  groups: [],
  effect: null,
  interval: null,
  test: null,
  also: [],
  leans: null,
  seeds: 0,
  checkpoints: [],
  seedsNeeded: null,
  notes: [],
  ...parts,
  missing,
})

export interface ClaimFunctions {
  /** One sentence that is true or false. */
  readonly statement: string
  /** Claims of one family share their error rate: p values are adjusted for their number. */
  readonly family: string
  /** Pure and fast. */
  plan(design: Design, level: number): ClaimPlan
  /** Does not depend on the order of the evidence. */
  judge(evidence: Evidence, level: number): Finding
  /** The claim judged on the figures that the paper printed; null if it has none. */
  judgePaper(level: number): Finding | null
}

/** See {@link ClaimFunctions}. */
export type Claim = Component<"claim"> & ClaimFunctions

/** The option of a report plugin that takes claims. */
export const claimsOption = componentOf<Claim>("claim").array()

// --- verdicts ----------------------------------------------------------------------------------------------

export type Verdict = "holds" | "does not hold" | "cannot be told"

/** A finding with its verdict. */
export interface Verdicted extends Finding {
  readonly verdict: Verdict
  /** One or two sentences. */
  readonly reason: string
  /** By Holm's method, for the claims of the family that have a test. */
  readonly adjusted: {
    /** Null without a test. */
    readonly p: number | null
    /** How many claims of the family have a test. */
    readonly of: number
    /** Of the interval: 1 − α / (m − i + 1) at the claim's step i of m, the first that is not rejected at most. */
    readonly level: number
    readonly interval: Ends | null
  }
}

/** A claim, its verdict and what led to it: plain data. `interval` and `test` are those of this claim alone. */
export interface Judged extends Verdicted {
  readonly kind: string
  readonly family: string
  readonly statement: string
  readonly options: Readonly<Record<string, unknown>>
  /** The level of `interval`. */
  readonly level: number
  /** The same claim judged on the paper's own figures, in the family of those; null if it has none. */
  readonly paper: Verdicted | null
}

/**
 * Judges every claim, in the order given. In each family p values are adjusted by Holm's method, and a claim is decided
 * if its adjusted p is at most 1 − level: by the side on which the effect lies it holds or does not. What is not
 * decided cannot be told: no evidence is not evidence against.
 */
export const judgeAll = (
  claims: readonly Claim[],
  evidence: Evidence,
  level = COVERAGE,
): readonly Judged[] => {
  const ours = verdicts(claims, (claim, at) => claim.judge(evidence, at), level)
  const paper = verdicts(
    claims,
    (claim, at) => claim.judgePaper(at) ?? nothingFound("the paper does not say"),
    level,
  )
  return claims.map((claim, i) => ({
    ...ours[i]!,
    kind: claim.name,
    family: claim.family,
    statement: claim.statement,
    options: claim.options,
    level,
    paper: claim.judgePaper(level) === null ? null : paper[i]!,
  }))
}

const verdicts = (
  claims: readonly Claim[],
  judge: (claim: Claim, level: number) => Finding,
  level: number,
): readonly Verdicted[] => {
  const findings = claims.map((claim) => judge(claim, level))
  const decided = new Array<Verdicted>(claims.length)
  for (const family of new Set(claims.map((claim) => claim.family))) {
    const tested = claims.flatMap((claim, i) => (claim.family === family && findings[i]!.test ? [i] : []))
    const steps = stepsOf(
      tested.map((i) => findings[i]!.test!.p),
      1 - level,
    )
    tested.forEach((i, j) => {
      const finding = findings[i]!
      const { adjustedP, alpha } = steps[j]!
      const again = alpha === 1 - level ? finding : judge(claims[i]!, 1 - alpha)
      const verdict =
        adjustedP > 1 - level || finding.leans === null
          ? "cannot be told"
          : finding.leans === "for"
            ? "holds"
            : "does not hold"
      const seedsNeeded = again.seedsNeeded
      decided[i] = {
        ...finding,
        seedsNeeded,
        verdict,
        reason: reasonOf({ ...finding, seedsNeeded }, verdict, adjustedP, tested.length, 1 - level),
        adjusted: { p: adjustedP, of: tested.length, level: 1 - alpha, interval: again.interval },
      }
    })
  }
  findings.forEach((finding, i) => {
    if (finding.missing === null) return
    decided[i] = {
      ...finding,
      verdict: "cannot be told",
      reason: finding.missing,
      adjusted: { p: null, of: 0, level, interval: null },
    }
  })
  return decided
}

/**
 * Holm's adjusted p of each, and the α of its interval: α / (m − i + 1) at step i in ascending order of p, and from the
 * first that is not rejected on, that one's. An interval of a claim that is not rejected then covers jointly with the
 * other ones not rejected (K. Strassburger and F. Bretz, "Compatible simultaneous lower confidence bounds for the Holm
 * procedure", 2008); one of a rejected claim agrees with its test, as R. Serlin, "Confidence intervals and the
 * scientific method: a case for Holm on the range" (1993), gives it.
 */
const stepsOf = (
  pValues: readonly number[],
  alpha: number,
): readonly { readonly adjustedP: number; readonly alpha: number }[] => {
  const adjusted = holm(pValues)
  const rejected = adjusted.filter((p) => p <= alpha).length
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[a]! - pValues[b]!)
  const steps = new Array<{ adjustedP: number; alpha: number }>(pValues.length)
  order.forEach((index, step) => {
    const left = pValues.length - Math.min(step, rejected)
    steps[index] = { adjustedP: adjusted[index]!, alpha: alpha / left }
  })
  return steps
}

const reasonOf = (
  { test, leans, seeds, seedsNeeded }: Finding,
  verdict: Verdict,
  adjustedP: number,
  tested: number,
  alpha: number,
): string => {
  const { name, p, leastP } = test!
  const found =
    tested === 1
      ? `${capitalised(name)}: ${pText(p)}.`
      : `${capitalised(name)}: ${pText(p)}, ${pText(adjustedP)} after Holm's adjustment for ${plural(tested, "claim")}.`
  if (verdict !== "cannot be told") return found
  const least =
    leastP !== null && leastP * tested > alpha
      ? ` ${plural(seeds, "seed")} cannot give less than p = ${number(leastP)}${tested === 1 ? "" : `, and ${number(Math.min(1, leastP * tested))} after adjustment`}.`
      : ""
  const needed =
    leans === null
      ? ""
      : seedsNeeded === null
        ? " More seeds alone would not show an effect of this size."
        : ` About ${plural(seedsNeeded, "seed")} would show an effect of this size with probability .8.`
  return `${found}${least}${needed}`
}

// --- plans -------------------------------------------------------------------------------------------------

/** What is wrong with claims whatever is measured: names that the design does not have. */
export const claimProblems = (claims: readonly Claim[], design: Design): readonly string[] => [
  ...new Set(claims.flatMap((claim) => claim.plan(design, COVERAGE).problems)),
]

/**
 * What the design can and cannot show of a claim, in whole sentences; none if no limit is known.
 *
 * @param claims those that it is adjusted with, where they are of its family; itself among them
 */
export const planSentences = (
  claim: Claim,
  claims: readonly Claim[],
  design: Design,
  level: number,
): readonly string[] => {
  const family = claims.filter((other) => other.family === claim.family)
  const { limits, leastP, power } = claim.plan(design, level)
  const first = family.length === 1 ? null : claim.plan(design, 1 - (1 - level) / family.length).power
  const adjusted =
    first === null
      ? ""
      : `, or ${number(first)} at the first step of Holm's adjustment for ${family.length} claims`
  return [
    ...(power === null
      ? []
      : [`If the effect is the paper's, this is found with probability ${number(power)}${adjusted}.`]),
    ...(leastP === null ? [] : leastSentences(leastP, leastAdjusted(claim, family, design, level), level)),
    ...limits,
  ]
}

/** Holm's adjusted p if every claim of the family has its least one, 0 where that has no bound: none can be lower. */
const leastAdjusted = (claim: Claim, family: readonly Claim[], design: Design, level: number): number =>
  holm(family.map((other) => other.plan(design, level).leastP ?? 0))[family.indexOf(claim)]!

const leastSentences = (leastP: number, adjusted: number, level: number): readonly string[] => {
  if (adjusted <= 1 - level) return []
  const after = leastP > 1 - level ? "" : `, and ${number(adjusted)} after Holm's adjustment`
  return [`The least p that this design can give is ${number(leastP)}${after}, so it cannot be told.`]
}

/** What the design can and cannot show of each claim: sentences that `--plan` prints. */
export const planAll = (claims: readonly Claim[], design: Design, level = COVERAGE): readonly string[] =>
  claims.map((claim) => {
    const sentences = planSentences(claim, claims, design, level)
    return [`"${claim.statement}"`, ...(sentences.length === 0 ? ["No limit is known."] : sentences)].join(
      " ",
    )
  })
