import { plural } from "../../../../core/io/format.ts"
import { holm } from "../statistics/holm.ts"
import { COVERAGE, type Ends } from "../statistics/interval.ts"
import { type Claim, type Evidence, type Finding, nothingFound } from "./claim.ts"
import { capitalised, number, pText } from "./words.ts"

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
