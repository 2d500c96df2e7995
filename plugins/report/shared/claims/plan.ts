import type { Differences } from "../../../../core/api/difference.ts"
import type { CohortEstimated } from "../../../../core/api/plugin.ts"
import type { ObservationsEstimate } from "../../../../core/artifacts/observations.ts"
import type { RunEstimate } from "../../../../core/artifacts/run.ts"
import { holm } from "../statistics/holm.ts"
import { COVERAGE } from "../statistics/interval.ts"
import type { Claim, Design } from "./claim.ts"
import { type Confounded, confoundedClaims, placesOf } from "./confounders.ts"
import { designOf } from "./evidence.ts"
import { number } from "./words.ts"

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

/**
 * The claims that are confounded, before anything runs.
 *
 * @param observations by the name of their input
 */
export const planConfounded = (
  claims: readonly Claim[],
  runs: readonly CohortEstimated<RunEstimate>[],
  observations: Readonly<Record<string, readonly CohortEstimated<ObservationsEstimate>[]>>,
  differences: Differences,
): readonly Confounded[] =>
  confoundedClaims(
    claims,
    designOf(runs, Object.values(observations).flat()),
    { runs: placesOf({ runs }), observations: placesOf(observations) },
    differences,
  )

/** What the design can and cannot show of each claim: sentences that `--plan` prints. */
export const planAll = (claims: readonly Claim[], design: Design, level = COVERAGE): readonly string[] =>
  claims.map((claim) => {
    const sentences = planSentences(claim, claims, design, level)
    return [`"${claim.statement}"`, ...(sentences.length === 0 ? ["No limit is known."] : sentences)].join(
      " ",
    )
  })
