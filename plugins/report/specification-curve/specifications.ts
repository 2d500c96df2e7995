/**
 * Claims under every specification that was run (U. Simonsohn, J. Simmons and L. Nelson, "Specification curve analysis",
 * 2020): the settings that a design leaves open are part of what a claim depends on.
 */
import type { Labels } from "../../../core/api/plugin.ts"
import type { Claim, Evidence } from "../shared/claims/claim.ts"
import { type Judged, judgeAll, type Verdict } from "../shared/claims/verdict.ts"
import type { Options } from "./options.ts"

/** A value for each setting. */
export type Specification = Labels

/** A claim under one specification. */
export interface Specified {
  readonly specification: Specification
  readonly isPresumed: boolean
  readonly judged: Judged
}

/** A claim under all of them. */
export interface Curve {
  readonly statement: string
  /** The settings in which its specifications differ. */
  readonly settings: readonly string[]
  /** By effect, ascending; those without an effect last. */
  readonly specified: readonly Specified[]
}

interface Labelled {
  readonly labels: Labels
}

/** The settings that all the evidence of a kind is labelled with. */
export const settingsOf = (presumed: Specification, evidence: readonly Labelled[]): readonly string[] =>
  Object.keys(presumed).filter(
    (name) => evidence.length > 0 && evidence.every(({ labels }) => labels[name] !== undefined),
  )

const specificationOf = (settings: readonly string[], { labels }: Labelled): Specification =>
  Object.fromEntries(settings.map((name) => [name, labels[name]!]))

/** The curves of all claims, first those of runs. In each specification claims are adjusted as in a study of its own. */
export const curvesOf = (
  { presumed, ofRuns, ofObservations }: Options,
  evidence: Evidence,
): readonly Curve[] => [
  ...curves(presumed, ofRuns, evidence.runs, (runs) => ({ runs, observations: [] })),
  ...curves(presumed, ofObservations, evidence.observations, (observations) => ({ runs: [], observations })),
]

const curves = <E extends Labelled>(
  presumed: Specification,
  claims: readonly Claim[],
  all: readonly E[],
  evidenceOf: (part: readonly E[]) => Evidence,
): readonly Curve[] => {
  if (claims.length === 0) return []
  const settings = settingsOf(presumed, all)
  const parts = Map.groupBy(all, (each) => JSON.stringify(specificationOf(settings, each)))
  const judged = [...parts.values()].map((part) => {
    const specification = specificationOf(settings, part[0]!)
    const isPresumed = settings.every((name) => specification[name] === presumed[name])
    return { specification, isPresumed, all: judgeAll(claims, evidenceOf(part)) }
  })
  const varied = settings.filter(
    (name) => new Set(judged.map(({ specification }) => specification[name])).size > 1,
  )
  return claims.map((claim, i) => ({
    statement: claim.statement,
    settings: varied,
    specified: judged
      .map(({ specification, isPresumed, all }) => ({ specification, isPresumed, judged: all[i]! }))
      .sort((a, b) => effectOf(a) - effectOf(b) || compare(textOf(a), textOf(b))),
  }))
}

const effectOf = ({ judged: { effect } }: Specified): number => effect?.value ?? Number.MAX_VALUE
const textOf = ({ specification }: Specified): string => JSON.stringify(specification)
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** How often a claim has each verdict, and which settings change it. */
export interface Robustness {
  readonly count: Readonly<Record<Verdict, number>>
  readonly presumed: Verdict | null
  /** Specifications with another verdict than the presumed one, by what in them differs from it. */
  readonly flips: readonly { readonly differs: Specification; readonly verdict: Verdict }[]
  /** Specifications whose effect lies on the other side of the claim. */
  readonly otherSide: number
}

export const robustnessOf = (presumed: Specification, { settings, specified }: Curve): Robustness => {
  const usual = specified.find(({ isPresumed }) => isPresumed)
  const count = { holds: 0, "does not hold": 0, "cannot be told": 0 }
  for (const { judged } of specified) count[judged.verdict]++
  const side = usual?.judged.leans ?? null
  return {
    count,
    presumed: usual?.judged.verdict ?? null,
    flips: specified.flatMap(({ specification, judged: { verdict } }) =>
      usual === undefined || verdict === usual.judged.verdict
        ? []
        : [
            {
              differs: Object.fromEntries(
                settings.flatMap((name) =>
                  specification[name] === presumed[name] ? [] : [[name, specification[name]!]],
                ),
              ),
              verdict,
            },
          ],
    ),
    otherSide: specified.filter(({ judged: { leans } }) => side !== null && leans !== null && leans !== side)
      .length,
  }
}
